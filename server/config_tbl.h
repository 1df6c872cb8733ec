/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OPT(section, name, kind, default, min, max, reload, help)
 *
 * default is text as in a file; min and max bound numbers, in the kind's unit
 * (config.h); for a choice min is the words, one space between.  reload: yes
 * when SIGHUP changes it in a running daemon.
 */
SECTION(server)
OPT(server, listen, text, "127.0.0.1:8080", 0, 0, no,
    "address and port to serve on; port 0 takes any; systemd's socket wins")
OPT(server, base_path, text, "", 0, 0, no,
    "every path is served below this, too: /NAME, for proxies that keep it")
OPT(server, admin_listen, text, "", 0, 0, no,
    "a second address for the control plane; empty: the same as listen")
OPT(server, tls_cert, text, "", 0, 0, no, "certificate chain, PEM")
OPT(server, tls_key, text, "", 0, 0, no, "its private key, PEM")
OPT(server, token_file, text, "", 0, 0, yes,
    "access tokens, a line each: TOKEN SCOPE[,SCOPE] NAME")
OPT(server, max_body, bytes, "64M", 1024, 17179869184, no,
    "largest request body, and what a compressed one may grow to")
OPT(server, max_upload, bytes, "16G", 1024, 1099511627776, no,
    "largest upload of a model with its data")
OPT(server, body_memory, bytes, "1G", 1048576, 1099511627776, no,
    "what the bodies of all requests may take together")
OPT(server, max_connections, integer, "1000", 1, 1000000, no, "open connections")
OPT(server, request_timeout, seconds, "30", 1000000, 86400000000, no,
    "a request must have arrived after this, and its answer is due after this")
OPT(server, compress_from, bytes, "0", 0, 17179869184, yes,
    "infer answers of at least this size are compressed when asked; 0: never")
OPT(server, drain_delay, seconds, "0", 0, 3600000000, yes,
    "from not ready to not listening, for load balancers to notice")
OPT(server, drain_timeout, seconds, "30", 0, 3600000000, yes,
    "requests in flight may take this long when stopping")
OPT(server, overload_status, choice, "503", "429 503", 0, yes,
    "answered when a queue is full: 429 or 503")
OPT(server, triton_metric_names, flag, "no", 0, 0, yes, "also nv_inference_* metrics")
END(server)

SECTION(models)
OPT(models, directory, text, "/var/lib/quantd/models", 0, 0, no, "the repository")
OPT(models, state_dir, text, "", 0, 0, no,
    "where quantd writes when the repository is read-only")
OPT(models, watch, flag, "yes", 0, 0, yes, "serve versions that are copied in")
OPT(models, model_name, text, "model", 0, 0, no, "name of a flat DIRECTORY/model.onnx")
OPT(models, memory_limit, bytes, "0", 0, 1099511627776, yes,
    "what loaded models may take; 0: no limit")
END(models)

SECTION(scheduler)
OPT(scheduler, workers, integer, "0", 0, 1024, no, "0: as many as usable cores")
OPT(scheduler, threads_per_worker, integer, "1", 1, 1024, no, "cores one run may use")
OPT(scheduler, max_batch_size, integer, "8", 1, 1024, yes, "rows one run may have")
OPT(scheduler, max_queue_delay, micros, "0", 0, 10000000, yes,
    "a batch that is not full waits this long; 0: never")
OPT(scheduler, max_queue_length, integer, "256", 1, 65536, yes,
    "requests that may wait for one variant")
END(scheduler)

SECTION(quantize)
OPT(quantize, recipe, text, "auto", 0, 0, yes, "for uploads that name none")
OPT(quantize, max_loss, real, "2.0", 0, 100, yes,
    "points of accuracy a variant may lose and be accepted")
OPT(quantize, cpu_share, real, "0.5", 0.01, 1, yes, "of the cores, for quantizing")
OPT(quantize, memory_limit, bytes, "0", 0, 1099511627776, yes, "of a job; 0: no limit")
OPT(quantize, timeout, seconds, "3600", 1000000, 604800000000, yes, "of a job")
OPT(quantize, program, text, "", 0, 0, yes,
    "quantctl; empty: beside quantd, otherwise in PATH")
OPT(quantize, concurrency, integer, "1", 1, 64, yes, "jobs at once")
END(quantize)

SECTION(log)
OPT(log, level, choice, "info", "error warning notice info debug", 0, yes,
    "the least important that is logged")
OPT(log, format, choice, "text", "text json", 0, yes, "text or json")
OPT(log, access, flag, "no", 0, 0, yes, "a line for every request")
END(log)
