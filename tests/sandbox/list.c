/* SPDX-License-Identifier: Apache-2.0 */

/* Prints the promises and the attacks, for test_promises.py, and those on frames, for tests/selinux:
 *   promise NUMBER PROCESSES    attack PROMISE NAME PROCESS OUTCOME    frame NAME OUTCOME */

#include <stdio.h>

#include "attack.h"

static const char *const processes[] = { "capd", "uploadd", "brokerd" };

static void print_attack(const Attack *attack) {
        const struct {
                const char *name;
                unsigned processes;
        } outcomes[] = {
                { "killed", attack->killed }, { "refused", attack->refused }, { "done", attack->done },
                { "paths", attack->paths },   { "ports", attack->ports },     { "scopes", attack->scopes },
        };

        for (unsigned i = 0; i < 3; i++)
                for (unsigned j = 0; j < sizeof(outcomes) / sizeof(outcomes[0]); j++)
                        if (outcomes[j].processes & 1U << i)
                                printf("attack %u %s %s %s\n", attack->promise, attack->name, processes[i],
                                       outcomes[j].name);
}

int main(void) {
#define PROMISE(number, made_by, text) printf("promise %u %u\n", (unsigned) (number), (unsigned) (made_by));
        SANDBOX_PROMISES(PROMISE)
        for (const Attack *attack = attacks; attack->name; attack++)
                print_attack(attack);
        for (const FrameAttack *attack = frame_attacks; attack->name; attack++)
                printf("frame %s %s\n", attack->name, attack->outcome);
        return 0;
}
