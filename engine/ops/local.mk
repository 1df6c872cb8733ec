noinst_LIBRARIES += libops.a
libops_a_SOURCES = \
	engine/ops/ops.h engine/ops/ops.c
