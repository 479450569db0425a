/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox-steps.h"
#include "tables.h"

DEFINE_CLEANUP(scmp_filter_ctx, filter_releasep, seccomp_release)

static int add(scmp_filter_ctx filter, const SandboxCall *call) {
        uint32_t action = call->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((unsigned) call->error);
        struct scmp_arg_cmp arguments[ELEMENTSOF(call->arguments)];
        unsigned n = 0;

        for (; n < ELEMENTSOF(arguments) && call->arguments[n].op != _SCMP_CMP_MIN; n++) {
                arguments[n] = call->arguments[n];
                if (arguments[n].datum_b == SANDBOX_SELF)
                        arguments[n].datum_b = (scmp_datum_t) getpid();
        }
        /* The count must be right: with one too few, the rule is wider than it reads. */
        return seccomp_rule_add_exact_array(filter, action, call->number, n, arguments);
}

static bool named(const SandboxCall *calls, int number) {
        for (; calls && calls->name; calls++)
                if (calls->number == number)
                        return true;
        return false;
}

static int add_calls(scmp_filter_ctx filter, const SandboxCall *calls, const SandboxCall *but,
                     char *detail) {
        for (; calls->name; calls++) {
                int r = named(but, calls->number) ? 0 : add(filter, calls);
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "cannot filter the system call %s", calls->name);
        }
        return 0;
}

static int add_ioctls(scmp_filter_ctx filter, const SandboxPolicy *policy, char *detail) {
        for (size_t i = 0; i < policy->n_ioctls; i++) {
                const SandboxCall call =
                                ALLOW(ioctl, policy->ioctls[i].why, IS(1, policy->ioctls[i].request));
                int r = add(filter, &call);
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "cannot allow the ioctl %s", policy->ioctls[i].name);
        }
        return 0;
}

int sandbox_filter(const SandboxPolicy *policy, char *detail) {
        _cleanup_(filter_releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r;

        if (!filter)
                return SANDBOX_FAIL(detail, ENOMEM, "cannot make a system call filter");
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        /* sandbox_prepare() did that, and is verified. */
        if (r >= 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
        if (r < 0)
                return SANDBOX_FAIL(detail, r, "cannot set up a system call filter");
        r = add_calls(filter, policy->calls, NULL, detail);
        if (r >= 0)
                r = add_calls(filter, sandbox_common_calls, policy->calls, detail);
        if (r >= 0)
                r = add_ioctls(filter, policy, detail);
        if (r < 0)
                return r;
        r = seccomp_load(filter);
        if (r < 0)
                return SANDBOX_FAIL(detail, r, "cannot load the system call filter");
        return 0;
}
