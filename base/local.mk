noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/arena.c base/arena.h \
	base/cpu.c base/cpu.h \
	base/digest.c base/digest.h \
	base/err.c base/err.h \
	base/file.c base/file.h \
	base/mem.c base/mem.h \
	base/vec.c base/vec.h
