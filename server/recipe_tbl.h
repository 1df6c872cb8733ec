/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RECIPE(name, kind, words, min, max)
 *
 * kind: CHOICE (one of words), NUMBER and WHOLE (min to max), SWITCH (on or
 * off), TEXT.  quantctl has each as --name, '-' for '_'.
 */
RECIPE(recipe, CHOICE,
       "auto none dynamic static mixed bf16 int4-rtn int4-gptq int4-awq", 0, 0)
RECIPE(variant, TEXT, "", 0, 0)
RECIPE(calibrator, CHOICE, "minmax percentile entropy mse", 0, 0)
RECIPE(calibration_samples, WHOLE, "", 1, 10000000)
RECIPE(granularity, CHOICE, "channel tensor", 0, 0)
RECIPE(exclude, TEXT, "", 0, 0)
RECIPE(max_loss, NUMBER, "", 0, 100)
RECIPE(min_agreement, NUMBER, "", 0, 1)
RECIPE(min_speedup, NUMBER, "", 0, 1000)
RECIPE(seconds, NUMBER, "", 0, 600)
RECIPE(smooth, NUMBER, "", 0, 1)
RECIPE(equalize, SWITCH, "", 0, 0)
RECIPE(bias_correction, SWITCH, "", 0, 0)
RECIPE(adaround, SWITCH, "", 0, 0)
