/* ireko info: what somebody who reports a problem, or wonders about the speed, wants to know. */
#include <Hypervisor/hvx.h>

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include "base/compiler.h"
#include "cli/cli.h"
#include "vmm/hvcall.h"

#define FIELD "%-9s "

static void info_host(void)
{
    struct utsname u;
    if (uname(&u) < 0)
        return;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    printf(FIELD "%s %s, %s, %ld CPU%s, %.1f GiB of memory\n", "host", u.sysname, u.release,
           u.machine, cpus, cpus == 1 ? "" : "s", memory / (1u << 30));
}

static const struct {
    const char *name, *what;
} engines[] = {
    { "hvf", "this Mac's own cores" },
    { "kvm", "this machine's own cores, through Linux KVM" },
    { "jit", "the software CPU, translating" },
    { "interp", "the software CPU, interpreting" },
    { "check", "both of the software CPU's engines, compared step by step" },
};

static void info_engines(void)
{
    char chosen[16];
    snprintf(chosen, sizeof chosen, "%s", hvx_engine());
    const char *field = "engines";
    for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
        bool is_chosen = strcmp(engines[i].name, chosen) == 0;
        if (!is_chosen && hvx_set_engine(engines[i].name) != HV_SUCCESS)
            continue;
        printf(FIELD "%s %-7s %s\n", field, is_chosen ? "*" : " ", engines[i].name,
               engines[i].what);
        field = "";
    }
    if (!field[0])
        printf(FIELD "  (* runs guests unless --engine says otherwise)\n", "");
    else
        printf(FIELD "none: this build cannot run guests here\n", field);
    /* Back to the default; it was available before. */
    (void)hvx_set_engine(NULL);
}

static void info_limits(void)
{
    uint32_t vcpus = 0, max_ipa = 0, default_ipa = 0;
    if (hv_vm_get_max_vcpu_count(&vcpus) != HV_SUCCESS ||
        hv_vm_config_get_max_ipa_size(&max_ipa) != HV_SUCCESS ||
        hv_vm_config_get_default_ipa_size(&default_ipa) != HV_SUCCESS)
        return;
    printf(FIELD "%u virtual CPUs; %u bits of guest physical address (%u by default)\n", "limits",
           vcpus, max_ipa, default_ipa);
}

/* macOS says whether it and the hardware have what Hypervisor.framework needs; a Mac that is a
 * virtual machine itself does not, as a rule. */
static bool info_host_is_able(void)
{
#ifdef __APPLE__
    int able = 0;
    size_t size = sizeof able;
    if (sysctlbyname("kern.hv_support", &able, &size, NULL, 0) == 0 && able)
        return true;
    printf(FIELD "this Mac cannot run virtual machines (kern.hv_support is 0); is it one itself?\n",
           "hint");
    return false;
#else
    return true;
#endif
}

/* Can this program make a virtual machine at all, and if not, what helps? */
static void info_permission(void)
{
    hv_return_t r = hv_vm_create(NULL);
    if (r == HV_SUCCESS)
        hv_vm_destroy();
    else if (r == HV_DENIED)
        printf(FIELD
               "macOS does not let this program make virtual machines; give it the "
               "entitlement:\n" FIELD
               "codesign --sign - --entitlements tools/entitlements.plist --force build/ireko\n",
               "hint", "");
    else if (info_host_is_able())
        printf(FIELD "a virtual machine cannot be made here: %s\n", "hint", hvcall_text(r));
}

static void info_hints(void)
{
    info_permission();
#if defined(__linux__) && defined(__aarch64__)
    if (access("/dev/kvm", F_OK) == 0 && access("/dev/kvm", R_OK | W_OK) != 0)
        printf(FIELD "/dev/kvm is there but you may not open it; join its group (often kvm)\n",
               "hint");
    else if (access("/dev/kvm", F_OK) != 0)
        printf(FIELD "there is no /dev/kvm here, so guests run on the software CPU\n", "hint");
#elif !defined(__aarch64__)
    printf(FIELD "this host's CPU is not arm64, so guests run on the software CPU\n", "hint");
#endif
}

/* What a guest's CPU has, and where it finds that. */
static int info_cpu(void)
{
    struct hvx_cpu_feature f;
    const char *model = hvx_cpu_model();

    if (hvx_cpu_feature(0, &f) != HV_SUCCESS) {
        struct err e;
        err_set(&e, 0, "the features of the CPU '%s' are not known to ireko", model);
        return cli_fail(CLI_ERROR, &e);
    }
    for (unsigned n = 0; hvx_cpu_feature(n, &f) == HV_SUCCESS; n++) {
        printf("%-14s %-16s <%u:%u>%*s %u  %s", f.name, f.id_register, f.lsb + 3, f.lsb,
               (f.lsb < 10) + (f.lsb + 3 < 10), "", f.value, f.meaning);
        if (f.option)
            printf(" (only with --cpu %s,%s)", model, f.option);
        printf("\n");
    }
    return CLI_OK;
}

int cli_info(int argc, char **argv)
{
    bool cpu = argc > 1 && strcmp(argv[1], "--cpu") == 0;
    if (cli_has_arguments(argc - cpu, argv + cpu))
        return CLI_USAGE;
    if (cpu)
        return info_cpu();
    printf(FIELD "%s\n", "ireko", IREKO_VERSION);
    info_host();
    info_engines();
    info_limits();
    struct hvx_cpu_feature f;
    bool listed = hvx_cpu_feature(0, &f) == HV_SUCCESS;
    printf(FIELD "%s%s\n", "cpu", hvx_cpu_model(),
           listed ? " ('ireko info --cpu' lists its features)" : "");
    info_hints();
    return CLI_OK;
}
