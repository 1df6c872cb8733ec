noinst_LIBRARIES += librun.a
librun_a_SOURCES = \
	engine/run/model.c
