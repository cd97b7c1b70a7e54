/* run.c: `weldc run`: compile, load the arguments, evaluate, print.
 *
 * With --repeat the program is evaluated anew each time and all results but the last are freed in between;
 * the time of a run is that of module_run alone: allocating and freeing intermediates is in it, loading and
 * printing is not.
 */
#include <stdlib.h>
#include <string.h>

#include "../../runtime/cluster/cluster.h"
#include "command.h"

typedef struct Run {
    const Request *request;
    Fault fault;
    Progress *progress;
    Text text;
    Inputs inputs;
    Arguments arguments;
    Timings timings;
    weld_module_t module;
    weld_context_t context;
    weld_value_t result;
    void *args;
    const Engine *cluster;     /* or NULL: it runs alone */
    EngineStats before, after; /* of all runs of the program */
    PlanPrice price;
    int fragments;
    double *run_ms; /* of each repetition */
} Run;

/* Compiles the program and loads its arguments; of ranks all do, or none. */
static bool load(Run *run) {
    const Request *request = run->request;
    if (!request_text(request, &run->text, &run->fault)) return false;
    if (!arguments_split(request->words, request->count, &run->arguments, &run->fault)) return false;
    progress_phase(run->progress, "compiling");
    run->module = arguments_compile(&run->arguments, &run->inputs, &run->text, request->conf, &run->timings,
                                    &run->fault);
    if (!run->module) return false;
    progress_phase(run->progress, "loading");
    run->args = arguments_load(&run->arguments, &run->inputs, &run->text, run->module, &run->fault);
    return run->args != NULL;
}

static bool prepare(Run *run) {
    const Request *request = run->request;
    Ranks *ranks = &run->inputs.ranks;
    if (!ranks_begin(ranks, run->cluster, &run->fault)) return false;
    if (!ranks_end(ranks, load(run), &run->fault)) return false;
    void *args = run->args;
    if (run->cluster) run->cluster->stats(&run->before);
    run->context = weld_context_new(request->conf);
    run->run_ms = calloc((size_t)request->repeat, sizeof *run->run_ms);
    if (!run->context || !run->run_ms) return fault_set(&run->fault, E_OutOfMemory, "no memory for the run");
    module_prepare(run->module, args, request->repeat, &run->timings);
    progress_phase(run->progress, "running");
    for (int64_t i = 0; i < request->repeat; i++) {
        Error error = {0};
        weld_value_free(run->result);
        double start = now_ms();
        run->result = module_run(run->module, run->context, args, &cancel_flag, &error);
        run->run_ms[i] = now_ms() - start;
        if (!run->result) return fault_of_program(&run->fault, &error, &run->text);
    }
    if (run->cluster) run->cluster->stats(&run->after);
    return true;
}

static bool saves_npy(const Request *request) {
    size_t length = request->save ? strlen(request->save) : 0;
    return length > 4 && strcmp(request->save + length - 4, ".npy") == 0;
}

/* Into the file of --save: a .npy file by all ranks, any other by rank 0. */
static bool save_result(Run *run) {
    Error error = {0};
    const Type *type = value_type(run->result);
    Ranks *ranks = &run->inputs.ranks;
    if (!run->request->save) return true;
    if (type->builders)
        return fault_set(&run->fault, E_Argument, "--save: the result is an unfinished builder");
    if (saves_npy(run->request))
        return npy_save(ranks, run->request->save, type, weld_value_data(run->result), &run->fault);
    if (ranks->rank != 0) return true;
    if (store_write(run->request->save, type, weld_value_data(run->result), &error)) return true;
    return fault_set(&run->fault, error.code, "%s", error.text);
}

static int print_result(Run *run) {
    Buf out = {0};
    const Type *type = value_type(run->result);
    const void *data = weld_value_data(run->result);
    if (type->builders) { /* there is no literal of an unfinished builder */
        buf_printf(&out, "%s", run->request->json ? "null" : weld_value_type(run->result));
    } else if (run->request->json) {
        value_print_json(&out, type, data);
    } else {
        value_print(&out, type, data);
    }
    buf_put(&out, "\n", 1);
    return write_out(&out);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many fragments ran: of the optimized program, unless the interpreter ran it; and what compiled code promised to take, on any
 * rank, which all ranks find together. */
static void count_fragments(Run *run) {
    bool priced = module_price(run->module, run->context, run->args, &run->price);
    Program *optimized = NULL, *program = module_program(run->module);
    if (strcmp(module_tier(run->module), "eval") != 0) program = optimized = module_optimized(run->module);
    const Plan *plan = program ? plan_make(program) : NULL;
    run->fragments = plan ? plan_count(plan) : 0;
    if (!optimized || !plan || !priced) run->price = (PlanPrice){.why = "it was not compiled"};
    program_free(optimized);
}

/* One line of JSON on standard error. */
static void print_stats(Run *run) {
    int64_t repeat = run->request->repeat;
    double total = now_ms();
    qsort(run->run_ms, (size_t)repeat, sizeof *run->run_ms, by_value);
    double median =
        repeat % 2 ? run->run_ms[repeat / 2] : (run->run_ms[repeat / 2 - 1] + run->run_ms[repeat / 2]) / 2;
    PlanPrice price = run->price;
    int fragments = run->fragments;
    Options options;
    Error error = {0};
    conf_options(run->request->conf, &options, &error);
    fprintf(
        stderr,
        "{\"load_ms\": %.3f, \"parse_ms\": %.3f, \"infer_ms\": %.3f, \"optimize_ms\": %.3f, \"codegen_ms\": "
        "%.3f, "
        "\"run_ms\": %.3f, \"run_ms_min\": %.3f, \"total_ms\": %.3f, \"tier\": \"%s\", \"threads\": %lld, "
        "\"fragments\": %d, \"peak_bytes\": %lld, \"live_bytes\": %lld, \"allocations\": %lld, "
        "\"planned_bytes\": %lld, "
        "\"least_bytes\": %lld, \"unshared_bytes\": %lld",
        run->arguments.load_ms, run->timings.parse_ms, run->timings.infer_ms, run->timings.optimize_ms,
        run->timings.codegen_ms, median, run->run_ms[0], total, module_tier(run->module),
        (long long)options.threads, fragments, (long long)context_peak(run->context),
        (long long)weld_context_memory_usage(run->context), (long long)context_allocations(run->context),
        (long long)(price.why ? 0 : price.planned), (long long)(price.why ? 0 : price.live),
        (long long)(price.why ? 0 : price.unshared));
    if (price.why) fprintf(stderr, ", \"unplanned\": \"%s\"", price.why);
    if (price.again) fprintf(stderr, ", \"recomputed\": %d", price.again);
    if (run->cluster) {
        fprintf(stderr,
                ", \"transport\": \"%s\", \"ranks\": %d, \"sent_bytes\": %lld, \"received_bytes\": %lld, "
                "\"input_bytes\": %lld, \"copied_bytes\": %lld, \"registrations\": %lld, "
                "\"transport_latency_us\": %.2f, "
                "\"transport_mb_per_s\": %.1f, \"transport_reason\": \"%s\"",
                run->cluster->transport, run->cluster->ranks,
                (long long)(run->after.sent_bytes - run->before.sent_bytes),
                (long long)(run->after.received_bytes - run->before.received_bytes),
                (long long)run->inputs.budget.live,
                (long long)(run->after.copied_bytes - run->before.copied_bytes),
                (long long)run->after.registrations, run->after.latency_us, run->after.bandwidth_mbs,
                run->cluster->reason);
        ExchangeStats exchanged = cluster_exchanged();
        fprintf(stderr, ", \"launched\": %lld, \"waited_ms\": %.3f", (long long)exchanged.launched,
                (double)exchanged.waited_ns / 1e6);
        ServerStats served = cluster_served();
        fprintf(stderr, ", \"training\": \"%s\"", served.servers ? "server" : "allreduce");
        if (served.servers)
            fprintf(stderr,
                    ", \"windows\": \"%s\", \"servers\": %d, \"steps\": %lld, \"pushed_bytes\": %lld, "
                    "\"pulled_bytes\": %lld, "
                    "\"largest_lag\": %lld",
                    run->cluster->windows, served.servers, (long long)served.steps, (long long)served.pushed,
                    (long long)served.pulled, (long long)served.lag);
    }
    fputs("}\n", stderr);
}

/* A line for each fragment on standard error, of the last repetition. */
static void print_times(const Run *run) {
    char *times = weld_context_timings(run->context);
    if (times) fputs(times, stderr);
    free(times);
}

/* Started by mpirun or its like, the ranks run the program together. False: fault set. */
static bool join_cluster(Run *run) {
    weld_conf_t conf = run->request->conf;
    if (cluster_launched() && !weld_conf_get(conf, "weld.cluster"))
        weld_conf_set(conf, "weld.cluster", "mpi");
    Options options;
    Error error = {0};
    if (!conf_options(conf, &options, &error)) return fault_set(&run->fault, error.code, "%s", error.text);
    if (strcmp(options.cluster, "off") == 0) return true;
    if (saves_npy(run->request))
        weld_conf_set(conf, "weld.cluster.result", "blocks");
    else if (!weld_conf_get(conf, "weld.cluster.result"))
        weld_conf_set(conf, "weld.cluster.result", "first");
    run->cluster = cluster_open(&options, &error);
    return run->cluster || fault_set(&run->fault, error.code, "%s", error.text);
}

/* Of ranks the first that could not load its arguments tells, and rank 0 all else. */
static bool speaks(const Run *run) {
    const Ranks *ranks = &run->inputs.ranks;
    if (!run->cluster) return true;
    return ranks->failed ? ranks->speaks : run->cluster->rank == 0;
}

/* A launcher ends all ranks when one ends with a failure: none does so before it is said why. */
static void meet(const Run *run) {
    Ranks ranks;
    Fault ignored = {0};
    if (run->cluster && ranks_begin(&ranks, run->cluster, &ignored)) ranks_end(&ranks, true, &ignored);
    fault_release(&ignored);
}

int command_run(Request *request) {
    Run run = {.request = request};
    if (request->resume && !weld_conf_get(request->conf, "weld.checkpoint.file"))
        return usage_error(request, "--resume needs --checkpoint FILE");
    cancel_watch(true);
    if (!inputs_init(&run.inputs, &run.fault)) {
        fault_print(&run.fault);
        fault_release(&run.fault);
        return EXIT_FAULT;
    }
    bool joined = join_cluster(&run), first = !run.cluster || run.cluster->rank == 0;
    run.progress = first ? progress_start() : NULL;
    int status = joined && prepare(&run) && save_result(&run) ? EXIT_DONE : EXIT_FAULT;
    progress_stop(run.progress);
    if (status == EXIT_DONE) {
        if (request->stats) count_fragments(&run);
        status = request->save || !first ? EXIT_DONE : print_result(&run);
        if (request->times && first) print_times(&run);
        if (request->stats && first) print_stats(&run);
    } else {
        if (speaks(&run)) fault_print(&run.fault);
        meet(&run);
    }
    weld_value_free(run.result);
    weld_context_free(run.context);
    weld_module_free(run.module);
    arguments_release(&run.arguments);
    inputs_release(&run.inputs);
    text_release(&run.text);
    fault_release(&run.fault);
    free(run.run_ms);
    return status;
}
