# The daemon, all but main.c, as an archive that its unit tests link, too.
noinst_LIBRARIES += libserver.a
libserver_a_SOURCES = \
	server/history.c server/history.h \
	server/manifest.c server/manifest.h \
	server/modelconf.c server/modelconf.h \
	server/pbtxt.c server/pbtxt.h \
	server/publish.c \
	server/repo.c server/repo.h server/repo_impl.h \
	server/route.c server/route.h
SERVER_LIBS = $(JANSSON_LIBS) $(INIH_LIBS) $(NETTLE_LIBS) -lm -lpthread
