#!/usr/bin/env bash
# Draws a picture of docs/images from the reports of runs: pictures.sh r1 RUN, pictures.sh r1_zero RUN, and
# pictures.sh learning RUN... (runs of smollm2_task.lua and smollm2_r1.lua, a row each). Needs chromium and perl.
set -euo pipefail
name=${1:?pictures.sh: name a picture: r1, r1_zero or learning}
shift
[ $# -gt 0 ] || { echo "pictures.sh: name the run to draw" >&2; exit 2; }
runs=()
for run in "$@"; do runs+=("$(realpath "$run")"); done
cd "$(dirname "$0")/.."
page=$(mktemp --suffix=.html)
trap 'rm -f "$page"' EXIT

# charts RUN [TITLE...]: the report's first drawing of each title, in this order; without titles its first six.
charts() {
  perl -0 -e '
    my ($report, @titles) = @ARGV;
    open my $file, "<", "$report/report.html" or die "pictures.sh: $report has no report.html\n";
    my @all = <$file> =~ /(<svg.*?<\/svg>)/sg;
    print "<div class=\"card charts\">";
    @titles or print @all[0 .. 5];
    for my $title (@titles) { print((grep { /<title>\Q$title\E<\/title>/ } @all)[0]) }
    print "</div>"' "$@"
}
width=1120
case $name in
  r1) height=630 body=$(charts "${runs[0]}") ;;
  r1_zero) height=260 body=$(charts "${runs[0]}" rewards/accuracy/mean completions/mean_length entropy) ;;
  learning)
    height=$((300 * ${#runs[@]})) body=
    for run in "${runs[@]}"; do
      body+="<h3 style='margin:8px 4px'>$(basename "$run")</h3>$(charts "$run" pass@1 reward completions/mean_length)"
    done
    ;;
  *) echo "pictures.sh: \"$name\" is none of r1, r1_zero, learning" >&2; exit 2 ;;
esac
{ perl -0ne 'print $1 if /(<style>.*?<\/style>)/s' "${runs[0]}/report.html"; echo "<body style='margin:16px'>$body"; } >"$page"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
  --screenshot="docs/images/$name.png" --window-size="$width,$height" "file://$page" >/dev/null 2>&1
