noinst_LIBRARIES += libquant.a
libquant_a_CFLAGS = $(AM_CFLAGS) $(LIBZIP_CFLAGS) $(JANSSON_CFLAGS)
libquant_a_SOURCES = \
	quant/convert.c quant/convert.h \
	quant/data.c quant/data.h \
	quant/npy.c quant/npy.h \
	quant/npz.c quant/npz.h \
	quant/quant.h \
	quant/seen.c quant/seen.h \
	quant/testset.c quant/testset.h
