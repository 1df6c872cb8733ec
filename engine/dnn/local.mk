noinst_LIBRARIES += libdnn.a
libdnn_a_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)
libdnn_a_SOURCES = \
	engine/dnn/dnn.h engine/dnn/dnn.c
