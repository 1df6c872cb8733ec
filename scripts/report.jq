# SPDX-License-Identifier: Apache-2.0
#
# A deployment report as a small table: jq -r -f scripts/report.jq

def left(n): . + " " * ([n - length, 0] | max);
def right(n): " " * ([n - length, 0] | max) + .;

# k times . to d digits behind the point; "-" for what was not measured.
def fixed(k; d):
    if . == null then "-"
    else pow(10; d) as $p | (. * k * $p | round) as $n
        | ($n / $p | floor | tostring) as $whole
        | if d == 0 then $whole
          else $whole + "." + ($n % $p | tostring
              | "0" * (d - length) + .) end
    end;
def fixed(d): fixed(1; d);

def row(name; a; b; note):
    (name | left(22)) + (a | right(12)) + (b | right(12)) + "   " + note;

. as $report | .variant as $name
| (.variants[] | select(.variant == $name)) as $v | $v.latency as $l
| $v.throughput as $t
| row(""; "fp32"; $v.variant; ""),
  row("accuracy, %"; $v.accuracy.baseline | fixed(100; 2);
      $v.accuracy.variant | fixed(100; 2);
      "on \($v.accuracy.samples) labelled samples"),
  row("file, bytes"; .baseline.file_bytes | fixed(0);
      $v.file_bytes | fixed(0); "ratio \($v.size_ratio | fixed(3))"),
  row("latency p50, ms"; $l.baseline.p50_us | fixed(0.001; 3);
      $l.p50_us | fixed(0.001; 3);
      "\($l.speedup | fixed(2)) times as fast"),
  row("latency p99, ms"; $l.baseline.p99_us | fixed(0.001; 3);
      $l.p99_us | fixed(0.001; 3); ""),
  row("rows/s, batch \($t.batch)"; $t.baseline.rows_per_second | fixed(0);
      $t.rows_per_second | fixed(0);
      "\($t.speedup | fixed(2)) times as many"),
  row("same answer, %"; ""; $v.agreement.top1 | fixed(100; 2); ""),
  "",
  "decision: \(.decision), \(.state): \(.reason)",
  (.warnings[] | "warning: " + .)
