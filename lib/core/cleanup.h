/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Cleanup - locals that release what they hold when their scope ends.
 *
 *	npt_auto(npt_watch_free) struct npt_watch *watch = NULL;
 *	...
 *	*watch_ret = npt_take(watch);
 *
 * A type takes part by NPT_DEFINE_AUTO(type, free_function) after its free function, which accepts
 * NULL (or the type's empty value) and half-built objects.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define npt_auto(free_function) __attribute__((cleanup(free_function##_auto)))

#define NPT_DEFINE_AUTO(type, free_function)                                                       \
	static inline void free_function##_auto(type *object)                                      \
	{                                                                                          \
		free_function(*object);                                                            \
	}

/* For objects that live in the caller's memory: done(&object) at the end of the scope. */
#define NPT_DEFINE_AUTO_DONE(type, done_function)                                                  \
	static inline void done_function##_auto(type *object)                                      \
	{                                                                                          \
		done_function(object);                                                             \
	}

/* Hands a pointer over: the variable forgets it. */
#define npt_take(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})

/* Hands a file descriptor over. */
static inline int npt_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void npt_free_auto(void *object)
{
	free(*(void **)object);
}

static inline void npt_close_auto(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void npt_fclose_auto(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static inline void npt_closedir_auto(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

#define npt_auto_free     npt_auto(npt_free)
#define npt_auto_close    npt_auto(npt_close)
#define npt_auto_fclose   npt_auto(npt_fclose)
#define npt_auto_closedir npt_auto(npt_closedir)

#define NPT_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
