#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stands in for quantctl where a test is about the daemon: "quantizes" by
# copying.  What it does besides is told by files beside it: "sleep" holds
# seconds to sleep before the result, "say" another result line, "do" a
# command to run first.
here=$(dirname "$0")
command=$1
model=$2
shift 2
while [ $# -gt 0 ]; do
    case $1 in
    --output) output=$2 ;;
    --report) report=$2 ;;
    --variant) variant=$2 ;;
    esac
    shift
done
if [ "$command" = check ]; then
    echo '{"result":{"variant":"fp32"}}'
    exit 0
fi
echo '{"phase":"calibrate","fraction":0.5,"message":"half way"}'
[ -f "$here/do" ] && . "$here/do"
[ -f "$here/sleep" ] && sleep "$(cat "$here/sleep")"
[ -n "$output" ] && cp "$model" "$output"
echo "{\"variants\":[{\"variant\":\"${variant:-int8}\"}]}" >"$report"
if [ -f "$here/say" ]; then
    cat "$here/say"
else
    echo "{\"result\":{\"variant\":\"${variant:-int8}\",\"state\":\"accepted\",\
\"accepted\":true,\"decision\":\"excellent\",\"reason\":\"a copy\"}}"
fi
