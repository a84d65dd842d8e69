# variants.gp: what interventions change. gnuplot -c variants.gp LOSSES.tsv LAYERS.tsv FIGURE.svg LAYER
set datafile separator "\t"
losses = ARG1; layers = ARG2
stats losses skip 1 using 0 nooutput
n = STATS_records
stats layers skip 1 using 0 nooutput
wide = STATS_records > n ? STATS_records : n
set terminal svg size 480 + 34 * wide, 1050 dynamic noenhanced background "white" font "sans,12"
set output ARG3
set multiplot layout 3, 1
set xtics rotate by -30 noenhanced
set grid ytics lc rgb "#dddddd"
set offsets 0.5, 0.5, 0, 0
set bars small
set key outside right top vertical maxrows 20
set ylabel "final loss (nat)"
plot losses skip 1 using 0:3:4:xticlabels(1) with yerrorbars pt 7 lc rgb "#1b6ca8" title "train", \
     "" skip 1 using ($0 + 0.15):5:6 with yerrorbars pt 6 lc rgb "#d1495b" title "held out"
set ylabel "loss change (nat)"
set xzeroaxis lc rgb "#888888"
plot losses skip 1 using 0:7:8:xticlabels(1) with yerrorbars pt 7 lc rgb "#1b6ca8" title ARG4, \
     "" skip 1 using ($0 + 0.15):9:10 with yerrorbars pt 6 lc rgb "#d1495b" title "all other layers"
set xtics rotate by -60
plot for [k = 1:n] layers skip 1 using 0:2 * k:xticlabels(1) with linespoints lt k pt 7 ps 0.4 \
     title system(sprintf("sed -n %dp '%s' | cut -f1", k + 1, losses))
unset multiplot
