/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an attacker who runs his own code inside capd, uploadd or brokerd cannot do. They hold once
 * sandbox_enter() (common/sandbox.h) has returned; the tables in this folder are what they follow from.
 * tests/sandbox/ tries each of them from inside each process that it is made for. */

#define CAPD    1U
#define UPLOADD 2U
#define BROKERD 4U
#define ALL     (CAPD | UPLOADD | BROKERD)

/* PROMISE(number, processes, text) */
#define SANDBOX_PROMISES(PROMISE)                                                                           \
        PROMISE(1, ALL, "It enters holding no descriptor but those that its table names.")                  \
        PROMISE(2, ALL, "It can never hold more descriptors than its table says, nor raise that.")          \
        PROMISE(3, ALL, "It leaves no core file, and no process of its own user can look into it.")         \
        PROMISE(4, ALL, "capd has CAP_SYS_ADMIN, permitted and effective; the others have no capability.")  \
        PROMISE(5, ALL, "It can pass no capability on: none is inheritable or ambient.")                    \
        PROMISE(6, ALL, "It can get no other capability: none is in the bounding set.")                     \
        PROMISE(7, ALL, "It gets no privileges from a file's owner or capabilities: no_new_privs.")         \
        PROMISE(8, ALL, "It starts no program.")                                                            \
        PROMISE(9, ALL, "It starts no process. brokerd alone starts threads, to resolve names.")            \
        PROMISE(10, ALL,                                                                                    \
                "capd and uploadd open nothing and ask after no path; brokerd reads its state, "            \
                "/etc and the resolver's.")                                                                 \
        PROMISE(11, ALL, "It changes no file system. brokerd replaces files of its state directory.")       \
        PROMISE(12, ALL, "capd makes no socket; uploadd Unix and TCP, brokerd also UDP.")                   \
        PROMISE(13, ALL, "It makes no address its own and listens nowhere but where systemd let it.")       \
        PROMISE(14, ALL,                                                                                    \
                "capd connects nowhere; uploadd by TCP to pinned ports alone, on Internet sockets of no "   \
                "other kind; brokerd by TCP to the control plane's port and DNS's, and by UDP anywhere "    \
                "(ports: Landlock ABI 4). Unix sockets, uploadd's of packets and datagrams: those at "      \
                "paths that their units leave them, and abstract ones (but for Landlock ABI 6).")           \
        PROMISE(15, ALL, "It looks into no other process and takes none of its descriptors.")               \
        PROMISE(16, ALL, "It sends no signal to another process.")                                          \
        PROMISE(17, ALL, "It makes no memory executable.")                                                  \
        PROMISE(18, UPLOADD, "Memory that it was given it maps to read, never to write.")                   \
        PROMISE(19, ALL, "Its ioctls are those of its table, by exact number, on any descriptor.")          \
        PROMISE(20, CAPD, "It neither becomes nor drops DRM master, and changes nothing on a screen.")      \
        PROMISE(21, ALL, "It makes and enters no namespace, and mounts nothing.")                           \
        PROMISE(22, ALL, "It uses no kernel keyring.")                                                      \
        PROMISE(23, ALL, "It loads nothing into the kernel: no BPF, no module, no tracing.")                \
        PROMISE(24, ALL, "It uses no io_uring or AIO, which would get round the filter.")                   \
        PROMISE(25, ALL, "It cannot change who it is or how it is confined.")                               \
        PROMISE(26, ALL, "It calls the kernel in its own architecture's ABI alone.")                        \
        PROMISE(27, ALL,                                                                                    \
                "It changes nothing of the machine: clock, name, swap, power, bad memory, other "           \
                "processes' limits.")                                                                       \
        PROMISE(28, ALL, "A step of entering that fails, or only claims to have worked, ends the process.") \
        PROMISE(29, ALL, "It speaks to systemd and the journal in no other process's name.")
