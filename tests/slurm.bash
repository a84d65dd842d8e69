# slurm.bash: a Slurm cluster of one node, this machine, for a test file: load it after ../helper.
#
#   setup_file() { slurm_start; }
#   setup() { slurm_there; }            # skips where Slurm is not installed or does not start
#   teardown_file() { slurm_stop; }
#
# Its configuration, key, state and logs are in $SLURM (a folder of its own), its daemons listen on
# the loopback interface at ports that the system gave, and run as whoever runs the test.

export SLURM=${SLURM:-} SLURM_CONF=${SLURM_CONF:-} SLURM_MISSING=${SLURM_MISSING:-}

slurm_configure() {
    local user host ports
    user=$(id -un) host=$(hostname -s)
    ports=$("$PYTHON" -c 'import socket
s = [socket.socket() for _ in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
    mkdir -m 755 "$SLURM"/{munge,state,spool,log}
    (umask 077 && head -c 128 /dev/urandom >"$SLURM/munge/key")
    # what is requeued waits for cred_expire
    cat >"$SLURM_CONF" <<EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$SLURM/munge/socket,cred_expire=5
StateSaveLocation=$SLURM/state
SlurmdSpoolDir=$SLURM/spool
SlurmctldPidFile=$SLURM/slurmctld.pid
SlurmdPidFile=$SLURM/slurmd.pid
SlurmctldLogFile=$SLURM/log/slurmctld
SlurmdLogFile=$SLURM/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
KillWait=5
SlurmdParameters=config_overrides
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 CPUs=8 Features=zen4 State=UNKNOWN
PartitionName=all Nodes=one Default=YES State=UP
EOF
}

slurm_start() {
    local program end=$((SECONDS + 20))
    PATH=$PATH:/usr/sbin
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null && continue
        SLURM_MISSING="Slurm is not installed: no $program (.ci/packages, group slurm)"
        return
    done
    SLURM=$(mktemp -d /tmp/ls.XXXX)
    SLURM_CONF=$SLURM/slurm.conf
    chmod 755 "$SLURM"
    slurm_configure
    if munged --force --key-file="$SLURM/munge/key" --socket="$SLURM/munge/socket" --pid-file="$SLURM/munged.pid" \
        --log-file="$SLURM/log/munged" --seed-file="$SLURM/munge/seed" 3>&- && slurmctld -c 3>&- && slurmd -N one 3>&-; then
        until [ "$(timeout 5 sinfo -h -o %T 2>/dev/null)" = idle ] || [ $SECONDS -ge $end ]; do sleep 0.2; done
    fi 2>"$SLURM/log/start"
    # only here: bats may wait for the timeout of a test that was skipped
    [ $SECONDS -ge $end ] || [ ! -s "$SLURM/slurmd.pid" ] || { export BATS_TEST_TIMEOUT=300; return 0; }
    SLURM_MISSING="Slurm does not start here: $(grep -hi 'error\|fatal' "$SLURM"/log/* 2>/dev/null | tail -1)"
    slurm_stop
}

slurm_there() { [ -z "$SLURM_MISSING" ] || skip "$SLURM_MISSING"; }

# Ends every job, then every daemon, and waits until they have gone.
slurm_stop() {
    local name pids=() tries=0
    [ -n "$SLURM" ] || return 0
    if [ -z "$SLURM_MISSING" ]; then
        squeue -h -o %A 2>/dev/null | sort -u | xargs -r scancel --quiet 2>/dev/null
        until [ -z "$(squeue -h 2>/dev/null)" ] || [ $((tries += 1)) -ge 75 ]; do sleep 0.2; done
    fi
    for name in slurmd slurmctld munged; do
        [ ! -s "$SLURM/$name.pid" ] || pids+=("$(cat "$SLURM/$name.pid")")
    done
    # what may be left of a job has, as slurmd has, the path of our configuration in its environment
    pids+=($(grep -lsz "^SLURM_CONF=$SLURM_CONF\$" /proc/[0-9]*/environ | cut -d/ -f3 | grep -vx $$ || true))
    # nobody needs their state: without ceremony
    kill -9 "${pids[@]}" 2>/dev/null || true
    tries=0
    while kill -0 "${pids[@]}" 2>/dev/null && [ $((tries += 1)) -lt 50 ]; do sleep 0.1; done
    rm -rf "$SLURM"
    SLURM=""
    return 0
}

# jobs_of FOLDER: the run's job number, then that of the array of its workers.
jobs_of() { cat "$1/jobs"; }
# state JOB: PENDING, RUNNING, COMPLETED, ...; restarts JOB: how often it was requeued.
state() { scontrol -o show job "$1" | grep -o ' JobState=[A-Z]*' | cut -d= -f2 | sort -u; }
restarts() { scontrol -o show job "$1" | grep -o ' Restarts=[0-9]*' | cut -d= -f2; }
