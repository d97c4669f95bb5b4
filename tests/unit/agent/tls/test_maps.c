/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static void takes_each_file_with_code_once_whatever_its_name(void)
{
	static const char text[] =
		"00400000-00401000 r--p 00000000 08:01 7                /bin/x\n"
		"00401000-00402000 r-xp 00001000 08:01 7                /bin/x\n"
		"00403000-00405000 r-xp 00003000 08:01 7                /bin/x\n"
		"7f0000000000-7f0000001000 r-xp 00002000 fe:10 8        /lib/a b (deleted)\n"
		"7f0000001000-7f0000002000 r-xp 00000000 00:2a 9        /lib/new\\012line.so\n"
		"7f0000002000-7f0000003000 rwxp 00000000 00:01 10       /memfd:x (deleted)\n"
		"7f0000003000-7f0000006000 rwxp 00000000 00:00 0 \n"
		"7f0000006000-7f0000007000 r-xp 00000000 00:00 0        [vdso]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n"
		"7f0000007000-7f0000008000 r-xp 00000000 08:02 7        /other/device\n"
		"garbage\n"
		"7f0000009000-7f0000008000 r-xp 00000000 08:02 17       /ends/before\n"
		"7f000000a000-7f000000b000 r-xp 00000000 08:02 99999999999999999999999 /inode\n"
		"7f000000c000-7f000000d000 r-xp 00000000 08:02 18       /no/line/break";
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 1 };
	static const struct {
		const char *path;
		uint64_t inode;
		bool deleted;
	} expected[] = {
		{ "/bin/x", 7, false },
		{ "/lib/a b", 8, true },
		{ "/lib/new\nline.so", 9, false },
		{ "/memfd:x", 10, true },
		{ "/other/device", 7, false },
		{ "/no/line/break", 18, false },
	};

	npt_maps_parse(text, sizeof(text) - 1, &maps);
	NPT_CHECK_INT(maps.count, 6);
	for (size_t i = 0; i < 6 && i < maps.count; i++) {
		NPT_CHECK_STR(maps.files[i].path, expected[i].path);
		NPT_CHECK_INT(maps.files[i].inode, expected[i].inode);
		NPT_CHECK_INT(maps.files[i].deleted, expected[i].deleted);
	}
	NPT_CHECK_INT(maps.files[0].address, 0x401000);
	NPT_CHECK_INT(maps.files[0].offset_bytes, 0x1000);
	NPT_CHECK_INT(maps.files[0].size_bytes, 0x1000);
	NPT_CHECK_INT(maps.files[1].device_major, 0xfe);
	NPT_CHECK_INT(maps.files[1].device_minor, 0x10);
	NPT_CHECK_INT(maps.anonymous_bytes, 0x3000);
}

static void counts_files_beyond_its_maximum(void)
{
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 1 };
	char line[80];

	for (int i = 0; i < NPT_MAPS_FILES_MAX + 3; i++) {
		int size = snprintf(line, sizeof(line), "1000-2000 r-xp 0 8:1 %d /x\n", i + 1);

		npt_maps_parse(line, (size_t)size, &maps);
	}
	NPT_CHECK_INT(maps.count, NPT_MAPS_FILES_MAX);
	NPT_CHECK_INT(maps.other_count, 3);
}

static void survives_any_text(void)
{
	static const char letters[] = "0123456789abcdef-rwxp :/\\012\n()deleted";
	uint64_t state = npt_test_seed() | 1;

	for (size_t round = 0; round < 20000; round++) {
		npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 1 };
		char text[128] = "1000-2000 r-xp 00000000 08:01 7  /x\n";
		size_t size = round % sizeof(text);

		for (size_t i = 0; i < 1 + round % 50; i++)
			text[npt_test_random(&state) % sizeof(text)] =
				letters[npt_test_random(&state) % sizeof(letters)];
		npt_maps_parse(text, size, &maps);
		NPT_CHECK(maps.count <= 8);
	}
}

struct scene { /* a file of this process, in a folder of its own */
	char folder[64];
	char *path;
	void *mapping;
	struct npt_maps maps;
	const struct npt_mapped_file *file; /* NULL: not found */
};

static void find_again(struct scene *scene, uint32_t pid)
{
	npt_maps_done(&scene->maps);
	scene->file = NULL;
	NPT_CHECK_INT(npt_maps_read(pid, &scene->maps, NULL), 0);
	for (size_t i = 0; i < scene->maps.count; i++)
		if (strncmp(scene->maps.files[i].path, scene->folder, strlen(scene->folder)) == 0)
			scene->file = &scene->maps.files[i];
	NPT_CHECK(scene->file != NULL);
}

static void write_file(const char *path, char content)
{
	npt_auto_close int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	NPT_CHECK(fd >= 0 && write(fd, &content, 1) == 1);
}

static void *map_file(const char *path)
{
	npt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *mapping = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	NPT_CHECK(mapping != MAP_FAILED);
	return mapping;
}

static void begin(struct scene *scene, const char *name)
{
	*scene = (struct scene){ .folder = "/tmp/npt-maps-XXXXXX" };
	NPT_CHECK(mkdtemp(scene->folder) != NULL);
	scene->path = npt_format("%s/%s", scene->folder, name);
	write_file(scene->path, 'a');
	scene->mapping = map_file(scene->path);
	find_again(scene, (uint32_t)getpid());
}

static void end(struct scene *scene)
{
	(void)munmap(scene->mapping, 1);
	(void)unlink(scene->path);
	(void)rmdir(scene->folder);
	npt_maps_done(&scene->maps);
	free(scene->path);
}

/* What opening says; the content's first byte if it works. */
static int open_it(const struct scene *scene, uint32_t pid, struct npt_error *err)
{
	npt_auto_close int fd = -1;
	char content = 0;
	int rc = scene->file ? npt_maps_open(pid, scene->file, &fd, err) : -EINVAL;

	if (rc < 0)
		return rc;
	NPT_CHECK_INT(read(fd, &content, 1), 1);
	return content;
}

static void opens_the_mapped_file_by_any_name(void)
{
	static const char *const names[] = { "plain.so", "a b", "new\nline", "x (deleted)",
					     "back\\slash" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		struct scene scene;

		begin(&scene, names[i]);
		NPT_CHECK_INT(open_it(&scene, (uint32_t)getpid(), &err), 'a');
		NPT_CHECK_STR(err.text, "");
		end(&scene);
	}
}

static void says_that_a_file_was_replaced(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct scene scene;
	npt_auto_free char *other = NULL;

	begin(&scene, "lib.so");
	other = npt_format("%s.new", scene.path);
	write_file(other, 'b');
	NPT_CHECK_INT(rename(other, scene.path), 0);
	find_again(&scene, (uint32_t)getpid());
	NPT_CHECK_INT(open_it(&scene, (uint32_t)getpid(), &err), -ESTALE);
	NPT_CHECK_STR(err.text, "replaced on disk while in use");
	end(&scene);
}

static void says_that_a_file_was_deleted(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct scene scene;

	begin(&scene, "lib.so");
	NPT_CHECK_INT(unlink(scene.path), 0);
	find_again(&scene, (uint32_t)getpid());
	NPT_CHECK_INT(open_it(&scene, (uint32_t)getpid(), &err), -ENOENT);
	NPT_CHECK_STR(err.text, "deleted while in use");
	end(&scene);
}

/* Opening a pipe would wait for ever, a link may lead anywhere. */
static void is_not_led_astray_by_what_has_taken_the_name(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct scene scene;

	begin(&scene, "lib.so");
	NPT_CHECK_INT(unlink(scene.path), 0);
	NPT_CHECK_INT(mkfifo(scene.path, 0600), 0);
	find_again(&scene, (uint32_t)getpid());
	NPT_CHECK_INT(open_it(&scene, (uint32_t)getpid(), &err), -ESTALE);
	NPT_CHECK_INT(unlink(scene.path), 0);
	NPT_CHECK_INT(symlink("/proc/self/exe", scene.path), 0);
	NPT_CHECK(open_it(&scene, (uint32_t)getpid(), &err) < 0);
	end(&scene);
}

static void knows_the_program_itself_even_when_it_is_deleted(void)
{
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 0 };
	char copy[] = "/tmp/npt-maps-exe-XXXXXX", link[64], argument[] = "60";
	char *arguments[] = { copy, argument, NULL };
	struct stat truth, status;
	int from = open("/bin/sleep", O_RDONLY | O_CLOEXEC), to = mkostemp(copy, O_CLOEXEC);
	size_t found = 0;
	ssize_t got;
	char buffer[4096];
	pid_t child;

	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		NPT_CHECK(write(to, buffer, (size_t)got) == got);
	NPT_CHECK(fchmod(to, 0755) == 0 && fstat(to, &truth) == 0);
	(void)close(from);
	(void)close(to);
	child = fork();
	if (child == 0) {
		(void)execv(copy, arguments);
		_exit(1);
	}
	(void)snprintf(link, sizeof(link), "/proc/%d/exe", child);
	for (int i = 0; i < 5000 && (stat(link, &status) < 0 || status.st_ino != truth.st_ino); i++)
		(void)usleep(1000);
	NPT_CHECK_INT(unlink(copy), 0);
	/* Until it has mapped its libraries, too. */
	for (int i = 0; i < 5000 && maps.count < 3; i++) {
		(void)usleep(1000);
		npt_maps_done(&maps);
		NPT_CHECK_INT(npt_maps_read((uint32_t)child, &maps, NULL), 0);
	}
	for (size_t i = 0; i < maps.count; i++) {
		npt_auto_close int fd = -1;

		if (!maps.files[i].executable)
			continue;
		found++;
		NPT_CHECK_INT(npt_maps_open((uint32_t)child, &maps.files[i], &fd, NULL), 0);
		NPT_CHECK(fstat(fd, &status) == 0 && status.st_ino == truth.st_ino);
	}
	NPT_CHECK_INT(found, 1);
	NPT_CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

/* A child that does what prepare() says, and then waits until it is killed. */
static pid_t begin_child(int (*prepare)(const struct scene *scene), const struct scene *scene)
{
	int ready[2];
	char byte = 0;
	pid_t child;

	NPT_CHECK_INT(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		byte = prepare(scene) == 0 ? 'y' : 'n';
		(void)!write(ready[1], &byte, 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	NPT_CHECK_INT(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	if (byte == 'y')
		return child;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return 0;
}

static int change_root(const struct scene *scene)
{
	(void)scene;
	return chroot("/proc") < 0 ? -1 : chdir("/");
}

/* haproxy loads its libraries and then changes its root. */
static void opens_a_file_outside_of_the_root_by_way_of_the_parent(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct scene scene;
	pid_t child;

	begin(&scene, "lib.so");
	child = begin_child(change_root, &scene);
	if (child == 0) {
		npt_test_skip("no right to change the root");
		end(&scene);
		return;
	}
	find_again(&scene, (uint32_t)child);
	NPT_CHECK_INT(open_it(&scene, (uint32_t)child, &err), 'a');
	NPT_CHECK_STR(err.text, "");
	NPT_CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	end(&scene);
}

/* An overlay over the scene's folder, which has the file below; it is mapped from above. */
static int mount_overlay(const struct scene *scene)
{
	npt_auto_free char *upper = npt_format("%s/upper", scene->folder);
	npt_auto_free char *work = npt_format("%s/work", scene->folder);
	npt_auto_free char *top = npt_format("%s/top", scene->folder);
	npt_auto_free char *options = NULL, *path = NULL;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    munmap(scene->mapping, 1) < 0 || mount("tmpfs", scene->folder, "tmpfs", 0, NULL) < 0)
		return -1;
	(void)mkdir(upper, 0755);
	(void)mkdir(work, 0755);
	(void)mkdir(top, 0755);
	options = npt_format("lowerdir=%s,upperdir=%s,workdir=%s", "/bin", upper, work);
	path = npt_format("%s/sleep", top);
	if (mount("overlay", top, "overlay", 0, options) < 0)
		return -1;
	(void)map_file(path);
	return 0;
}

static void opens_a_file_of_an_overlay(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct scene scene;
	pid_t child;

	begin(&scene, "lib.so");
	child = begin_child(mount_overlay, &scene);
	if (child == 0) {
		npt_test_skip("no right to mount, or no overlayfs");
		end(&scene);
		return;
	}
	find_again(&scene, (uint32_t)child);
	NPT_CHECK_INT(open_it(&scene, (uint32_t)child, &err), 0x7f);
	NPT_CHECK_STR(err.text, "");
	/* Another file of the same overlay is not taken for it. */
	if (scene.file) {
		struct npt_mapped_file other = *scene.file;

		other.inode++;
		scene.file = &other;
		NPT_CHECK_INT(open_it(&scene, (uint32_t)child, &err), -ESTALE);
	}
	NPT_CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	end(&scene);
}

static void says_that_there_is_no_process(void)
{
	struct npt_maps maps;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK_INT(npt_maps_read(INT32_MAX, &maps, &err), -ESRCH);
	NPT_CHECK_STR(err.text, "there is no process 2147483647");
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_each_file_with_code_once_whatever_its_name),
	NPT_TEST(counts_files_beyond_its_maximum),
	NPT_TEST(survives_any_text),
	NPT_TEST(opens_the_mapped_file_by_any_name),
	NPT_TEST(says_that_a_file_was_replaced),
	NPT_TEST(says_that_a_file_was_deleted),
	NPT_TEST(is_not_led_astray_by_what_has_taken_the_name),
	NPT_TEST(knows_the_program_itself_even_when_it_is_deleted),
	NPT_TEST(opens_a_file_outside_of_the_root_by_way_of_the_parent),
	NPT_TEST(opens_a_file_of_an_overlay),
	NPT_TEST(says_that_there_is_no_process),
};
NPT_TEST_MAIN(tests)
