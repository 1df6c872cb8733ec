dist_doc_DATA += \
	README.md \
	doc/hacking.md \
	doc/openapi.json \
	doc/state.md

dist_man_MANS += doc/quantctl.1
