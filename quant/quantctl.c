/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantctl: the engine and the quantizer without a server.
 */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "quant/cmd.h"

static const struct cmd cmds[] = {
    {"inspect", "MODEL", "Shows what is in a model and how it would run",
     cmd_inspect},
    {"run", "MODEL --input NAME=FILE.npy... [--output DIR]",
     "Runs a model once on .npy files", cmd_run},
    {"verify", "MODEL --test-data DIR",
     "Compares a model's answers with expected ones", cmd_verify},
    {"check", "MODEL [--like MODEL] [--calibration X] [--validation Y]",
     "Tells whether a model can be served", cmd_check},
    {"quantize", "MODEL -o OUT [--calibration DATA] [--validation DATA]",
     "Makes a variant, judges it and reports", cmd_quantize},
    {"compare", "A B --data DATA", "Judges a variant B of a model A",
     cmd_compare},
    {"bench", "MODEL... [--batch N] [--threads N] [--seconds S]",
     "Times models, side by side when there are several", cmd_bench},
};

enum { N_CMDS = sizeof cmds / sizeof *cmds };

static void
help(FILE *f)
{
    fputs("usage: quantctl COMMAND ...\n\n", f);
    for (int i = 0; i < N_CMDS; i++)
        fprintf(f, "  %-9s %s\n", cmds[i].name, cmds[i].summary);
    fputs("\nquantctl COMMAND --help tells a command's options.\n"
          "Exit codes: 0 done, 1 rejected by policy or mismatch, 2 wrong "
          "usage,\n3 bad input, 4 not supported, 5 internal.\n",
          f);
}

int
main(int argc, char **argv)
{
    cpu_patient_threads(argv);
    if (argc < 2) {
        help(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("quantctl %s\n", QUANTD_VERSION);
        return CMD_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return CMD_DONE;
    }
    for (int i = 0; i < N_CMDS; i++)
        if (strcmp(argv[1], cmds[i].name) == 0)
            return cmds[i].run(&cmds[i], argc - 1, argv + 1);
    fprintf(stderr, "quantctl: no command '%s'\n", argv[1]);
    help(stderr);
    return CMD_USAGE;
}
