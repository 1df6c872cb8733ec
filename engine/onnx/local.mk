noinst_LIBRARIES += libonnx.a
libonnx_a_SOURCES = \
	engine/onnx/onnx.h engine/onnx/import.c
