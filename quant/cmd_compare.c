/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two models of the same inputs and outputs side by side: the trial and the
 * report of quantize, for a variant that was made elsewhere.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"
#include "quant/cmd.h"
#include "quant/progress.h"
#include "quant/report.h"

struct pair {
    const char *baseline, *variant, *data, *report_path;
    double seconds;
    struct report report;
    struct data *set;
    struct progress *progress;
};

static int
compare(struct pair *p, struct err *e)
{
    struct report *r = &p->report;
    struct trial *t = &r->trials[0];
    int rc;

    progress_phase(p->progress, "parse", p->baseline);
    if ((rc = trial_open(p->baseline, NULL, &r->baseline, e)) != 0)
        return rc;
    if (p->data != NULL) {
        if ((rc = data_open(p->data, r->baseline.model, DATA_VALIDATION,
                            &p->set, e)) != 0 ||
            (rc = data_digest(p->set, r->validation.sha256, e)) != 0 ||
            (rc = trial_learn_shapes(&r->baseline, p->set, e)) != 0)
            return rc;
        r->validation.path = p->data;
        r->validation.data = p->set;
    }
    r->n_trials = 1;
    r->chosen = 0;
    if ((rc = trial_open(p->variant, p->set, &t->side, e)) != 0 ||
        (rc = trial_run(t, &r->baseline, p->set, &r->policy, p->seconds,
                        p->progress, e)) != 0)
        return rc;
    r->unchanged = true;
    return p->report_path != NULL ? report_write(r, p->report_path, e) : 0;
}

static int
run_pair(struct pair *p, const struct cmd_common *common)
{
    struct report *r = &p->report;
    int exit_code, rc;
    struct err e;

    r->threads = common->threads;
    r->recipe = "given";
    p->progress = progress_new(false);
    rc = compare(p, &e);
    progress_free(&p->progress);
    if (rc != 0)
        exit_code = cmd_fail(common->json, &e);
    else {
        exit_code = r->trials[0].verdict.state == POLICY_REJECTED ? CMD_REJECTED
                                                                  : CMD_DONE;
        if (common->json)
            exit_code = cmd_print(report_json(r), exit_code);
        else
            report_print(r);
    }
    trial_free(&r->trials[0]);
    data_free(&p->set);
    trial_close(&r->baseline);
    return exit_code;
}

int
cmd_compare(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0};
    struct pair p = {.seconds = 2};
    struct policy *policy = &p.report.policy;
    int exit_code;

    policy_init(policy);
    p.report.trials[0].variant = "variant";
    p.report.trials[0].recipe = "given";
    const struct option table[] = {
        {"data", 'd', OPTION_TEXT, "DATA",
         ".npz file or folder, with labels or true outputs", &p.data, 0, 0},
        {"report", 0, OPTION_TEXT, "FILE", "where the report is written",
         &p.report_path, 0, 0},
        {"variant", 0, OPTION_TEXT, "NAME", "what the report calls B",
         &p.report.trials[0].variant, 0, 0},
        {"max-loss", 0, OPTION_REAL, "POINTS", "of accuracy, at most",
         &policy->max_loss, 0, 100},
        {"min-agreement", 0, OPTION_REAL, "SHARE",
         "of equal answers, where there are no labels", &policy->min_agreement,
         0, 1},
        {"min-speedup", 0, OPTION_REAL, "X", "times faster, at least; 0: any",
         &policy->min_speedup, 0, 1000},
        {"seconds", 'S', OPTION_REAL, "S", "to time each model; 0: not at all",
         &p.seconds, 0, 3600},
        CMD_COMMON_OPTIONS(&common)};

    if (cmd_parse(c, table, &common, argc, argv, 2, 2, &words, &exit_code)) {
        p.baseline = words.v.at[0];
        p.variant = words.v.at[1];
        exit_code = run_pair(&p, &common);
    }
    mem_free(words.v.at);
    return exit_code;
}
