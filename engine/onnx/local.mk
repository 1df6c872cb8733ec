noinst_LIBRARIES += libonnx.a
libonnx_a_SOURCES = \
	engine/onnx/attend.c engine/onnx/attend.h \
	engine/onnx/attr.c engine/onnx/attr.h \
	engine/onnx/contrib.c engine/onnx/contrib.h \
	engine/onnx/contrib_attention.c \
	engine/onnx/contrib_grouped.c \
	engine/onnx/contrib_lstm.c \
	engine/onnx/contrib_nbits.c \
	engine/onnx/contrib_norm.c \
	engine/onnx/expand.c engine/onnx/expand.h \
	engine/onnx/external.c engine/onnx/external.h \
	engine/onnx/facts.c engine/onnx/facts.h \
	engine/onnx/import.c engine/onnx/import.h \
	engine/onnx/import_body.c \
	engine/onnx/import_graph.c \
	engine/onnx/names.c engine/onnx/names.h \
	engine/onnx/onnx.h \
	engine/onnx/qlinear.c \
	engine/onnx/rewrite.c engine/onnx/rewrite.h \
	engine/onnx/save.c engine/onnx/save.h \
	engine/onnx/save_graph.c \
	engine/onnx/tensor.c engine/onnx/tensor.h \
	engine/onnx/upgrade.c engine/onnx/upgrade.h \
	engine/onnx/upgrade_expand.c \
	engine/onnx/upgrade_inputs.c \
	engine/onnx/upgrade_norm.c \
	engine/onnx/upgrade_place.c \
	engine/onnx/upgrade_type.c \
	engine/onnx/wire.c engine/onnx/wire.h
nodist_libonnx_a_SOURCES = engine/onnx/onnx.pb-c.c engine/onnx/onnx.pb-c.h

# Made from our own .proto at build time; one run makes both files.
engine/onnx/onnx.pb-c.c: engine/onnx/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) engine/onnx && \
	$(PROTOC_C) --c_out=. -I$(srcdir) $(srcdir)/engine/onnx/onnx.proto
engine/onnx/onnx.pb-c.h: engine/onnx/onnx.pb-c.c
	@test -f $@ || { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }
$(libonnx_a_OBJECTS): engine/onnx/onnx.pb-c.h
engine/onnx/onnx.pb-c.$(OBJEXT): WERROR =

EXTRA_DIST += engine/onnx/onnx.proto
BUILT_SOURCES += engine/onnx/onnx.pb-c.h
CLEANFILES += engine/onnx/onnx.pb-c.c engine/onnx/onnx.pb-c.h
