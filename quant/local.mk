noinst_LIBRARIES += libquant.a
libquant_a_CFLAGS = $(AM_CFLAGS) $(LIBZIP_CFLAGS) $(JANSSON_CFLAGS)
libquant_a_SOURCES = \
	quant/already.c quant/already.h \
	quant/bench.c quant/bench.h \
	quant/columns.c quant/columns.h \
	quant/convert.c quant/convert.h \
	quant/coverage.c quant/coverage.h \
	quant/data.c quant/data.h \
	quant/dynamic.c \
	quant/entropy.c \
	quant/histogram.c quant/histogram.h \
	quant/judge.c quant/judge.h \
	quant/layer.c quant/layer.h \
	quant/npy.c quant/npy.h \
	quant/npz.c quant/npz.h \
	quant/observe.c quant/observe.h \
	quant/option.c quant/option.h \
	quant/policy.c quant/policy.h \
	quant/quant.c \
	quant/quant.h \
	quant/range.c quant/range.h \
	quant/rewrite.c quant/rewrite.h \
	quant/seen.c quant/seen.h \
	quant/sites.c quant/sites.h \
	quant/static.c \
	quant/tar.c quant/tar.h \
	quant/testset.c quant/testset.h \
	quant/weight.c quant/weight.h

bin_PROGRAMS += quantctl
quantctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
quantctl_SOURCES = \
	quant/advice.c quant/advice.h \
	quant/cmd.c quant/cmd.h \
	quant/cmd_bench.c \
	quant/cmd_check.c \
	quant/cmd_compare.c \
	quant/cmd_inspect.c \
	quant/cmd_quantize.c \
	quant/cmd_run.c \
	quant/cmd_verify.c \
	quant/probe.c quant/probe.h \
	quant/progress.c quant/progress.h \
	quant/quantctl.c \
	quant/report.c quant/report.h \
	quant/scratch.c quant/scratch.h \
	quant/trial.c quant/trial.h
quantctl_LDADD = libquant.a $(ENGINE_A) $(ENGINE_LIBS) $(LIBZIP_LIBS) \
	$(JANSSON_LIBS)
