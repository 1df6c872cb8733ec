noinst_LIBRARIES += libdnn.a
libdnn_a_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)
libdnn_a_SOURCES = \
	engine/dnn/attention.c \
	engine/dnn/border.c engine/dnn/border.h \
	engine/dnn/batchnorm.c \
	engine/dnn/call.c engine/dnn/call.h \
	engine/dnn/conv.c engine/dnn/conv.h \
	engine/dnn/conv_int.c \
	engine/dnn/depthwise.c \
	engine/dnn/desc.c engine/dnn/desc.h \
	engine/dnn/dnn.c engine/dnn/dnn.h \
	engine/dnn/eltwise.c engine/dnn/eltwise.h \
	engine/dnn/func.c engine/dnn/func.h \
	engine/dnn/grid.c engine/dnn/grid.h \
	engine/dnn/join.c \
	engine/dnn/kernel_tbl.h engine/dnn/kernels.h \
	engine/dnn/matmul.c engine/dnn/matmul.h \
	engine/dnn/matmul_int.c \
	engine/dnn/matmul_row.c \
	engine/dnn/move.c \
	engine/dnn/pair.c engine/dnn/pair.h \
	engine/dnn/pool.c \
	engine/dnn/pool_int.c \
	engine/dnn/prim.h engine/dnn/prim2.c engine/dnn/prim2.h \
	engine/dnn/prim2_attr.c \
	engine/dnn/prim2_chain.c engine/dnn/prim2_chain.h \
	engine/dnn/prim2_conv.c \
	engine/dnn/prim2_desc.c \
	engine/dnn/quantize.c \
	engine/dnn/quantize_axis.c \
	engine/dnn/recurrent.c \
	engine/dnn/resize.c \
	engine/dnn/row.c engine/dnn/row.h \
	engine/dnn/softmax.c \
	engine/dnn/space.c \
	engine/dnn/tail.c engine/dnn/tail.h \
	engine/dnn/transpose.c \
	engine/dnn/wide.c \
	engine/dnn/tile.c engine/dnn/tile.h engine/dnn/tile_body.h \
	engine/dnn/variants.h
