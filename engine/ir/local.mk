noinst_LIBRARIES += libir.a
libir_a_SOURCES = \
	engine/engine.h \
	engine/ir/attention.c engine/ir/attention.h \
	engine/ir/attr.c engine/ir/attr.h \
	engine/ir/dtype.c engine/ir/dtype.h \
	engine/ir/graph.c engine/ir/graph.h \
	engine/ir/kernel.h \
	engine/ir/op.c engine/ir/op.h engine/ir/op_tbl.h \
	engine/ir/shape.c engine/ir/shape.h \
	engine/ir/weights.c engine/ir/weights.h \
	engine/ir/window.c engine/ir/window.h
