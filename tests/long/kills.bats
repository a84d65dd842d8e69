# A hundred stages killed with -9 at random moments, one a run: trainer, integrator,
# aggregator, recorders, tap, or all at once as when the power fails. Each time the stage is
# started again, or lca-run --resume goes on, and the recordings, aggregates and summary of
# the undisturbed run come out, byte for byte. LCA_KILLS and LCA_KILLS_SEED choose others.
load ../helper
load ../streams
load ../kills

more_files() {
    whole_run
}

@test "a hundred kills" {
    kills "${LCA_KILLS_SEED:-7}" "${LCA_KILLS:-100}" >&3
}
