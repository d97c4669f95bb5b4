/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

static void reads_container_and_pod_from_control_group_paths(void)
{
	static const struct {
		const char *text, *container, *pod;
	} cases[] = {
		{ "4:memory:/kubepods/besteffort/pod" POD "/" ID "\n0::/\n", ID, POD },
		{ "0::/npt/n1/kubepods/burstable/pod" POD "/" ID "\n", ID, POD },
		{ "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
		  "3f2504e0_4f89_11d3_9a0c_0305e82c3301.slice/cri-containerd-" ID ".scope\n",
		  ID, POD },
		{ "0::/docker/" ID, ID, "" },
		{ "0::/user.slice/user-0.slice\n", "", "" },
		{ "0::/kubepods/podtooshort/" ID "0\n", "", "" },
		{ "", "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char container[NPT_CONTAINER_ID_BYTES], pod[NPT_CONTAINER_ID_BYTES];

		npt_proc_parse_cgroup(cases[i].text, container, sizeof(container), pod,
				      sizeof(pod));
		NPT_CHECK_STR(container, cases[i].container);
		NPT_CHECK_STR(pod, cases[i].pod);
	}
}

static void opens_its_own_namespace_and_knows_others_for_what_they_are(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	uint32_t inode = 0;
	int fd = -1, other;

	NPT_CHECK(npt_proc_open_netns((uint32_t)getpid(), &fd, &err) == 0);
	NPT_CHECK(npt_proc_netns_inode(fd, &inode, &err) == 0);
	NPT_CHECK(inode > 0);
	(void)close(fd);
	other = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	NPT_CHECK(npt_proc_netns_inode(other, &inode, &err) == -EINVAL);
	(void)close(other);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	NPT_CHECK(npt_proc_netns_inode(other, &inode, &err) == -EINVAL);
	(void)close(other);
	NPT_CHECK(npt_proc_open_netns(INT32_MAX, &fd, &err) == -ESRCH);
	NPT_CHECK_STR(err.text, "there is no process 2147483647");
}

static void a_process_runs_until_it_ends(void)
{
	int go[2];
	pid_t pid;

	NPT_CHECK(pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		(void)close(go[1]);
		_exit(read(go[0], &byte, 1) < 0);
	}
	NPT_CHECK(npt_proc_is_running((uint32_t)getpid()));
	NPT_CHECK(npt_proc_is_running((uint32_t)pid));
	(void)close(go[1]);
	(void)close(go[0]);
	NPT_CHECK(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	NPT_CHECK(!npt_proc_is_running((uint32_t)pid)); /* a zombie */
	NPT_CHECK(waitpid(pid, NULL, 0) == pid);
	NPT_CHECK(!npt_proc_is_running((uint32_t)pid));
}

static const struct npt_test tests[] = {
	NPT_TEST(reads_container_and_pod_from_control_group_paths),
	NPT_TEST(a_process_runs_until_it_ends),
	NPT_TEST(opens_its_own_namespace_and_knows_others_for_what_they_are),
};
NPT_TEST_MAIN(tests)
