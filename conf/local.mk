# The example configuration goes with the documents: what an administrator
# made of it in SYSCONFDIR/quantd is never overwritten.
dist_doc_DATA += conf/quantd.conf
