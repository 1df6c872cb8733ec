dist_noinst_SCRIPTS += scripts/check-layers
dist_noinst_DATA += scripts/layers
TESTS += scripts/check-layers
