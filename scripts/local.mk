dist_noinst_SCRIPTS += \
	scripts/bench-resnet50 \
	scripts/build \
	scripts/check-layers \
	scripts/deps \
	scripts/format \
	scripts/fuzz \
	scripts/make-resnet50 \
	scripts/run \
	scripts/test \
	scripts/zoo
dist_noinst_DATA += scripts/layers scripts/report.jq
TESTS += scripts/check-layers
