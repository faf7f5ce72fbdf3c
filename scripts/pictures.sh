#!/usr/bin/env bash
# Draws the README's pictures from the reports of two runs: pictures.sh RUN_OF_R1 RUN_OF_R1_ZERO. Needs chromium.
set -euo pipefail
r1=$(realpath "${1:?pictures.sh: name a run of r1.lua}") zero=$(realpath "${2:?pictures.sh: name a run of r1_zero.lua}")
cd "$(dirname "$0")/.."
page=$(mktemp --suffix=.html)
trap 'rm -f "$page"' EXIT

# shot NAME WIDTH HEIGHT: what is in the page, as docs/images/NAME.png
shot() {
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
    --screenshot="docs/images/$1.png" --window-size="$2,$3" "file://$page" >/dev/null 2>&1
}
style() { perl -0ne 'print $1 if /(<style>.*?<\/style>)/s' "$1/report.html"; }

{ style "$r1"; echo '<body style="margin:16px">'
  perl -0ne 'if (/<div class="card charts">(.*?)<\/div>/s) {  # two rows of three
    my @all = $1 =~ /(<svg.*?<\/svg>)/sg;
    print "<div class=\"card charts\">@all[0 .. 5]</div>" }' "$r1/report.html"; } >"$page"
shot r1 1120 630
{ style "$zero"; echo '<body style="margin:16px"><div class="card charts">'
  perl -0ne 'if (/<h3>02-r1_zero.*?<div class="card charts">(.*?)<\/div>/s) {
    my $all = $1;
    for my $name ("rewards/accuracy/mean", "completions/mean_length", "entropy") {
      print $1 if $all =~ /(<svg[^>]*><title>\Q$name\E<\/title>.*?<\/svg>)/s;
    } }' "$zero/report.html"; echo '</div>'; } >"$page"
shot r1_zero 1120 260
