/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each address is put at a random place among those before it, which makes every order as likely.
 */
#include "lib/net/resolve.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/net/digest.h"

static size_t random_below(size_t limit)
{
	uint64_t random;

	npt_random_bytes(&random, sizeof(random));
	return (size_t)(random % limit);
}

int npt_resolve(const char *host, char (*addresses)[NI_MAXHOST], size_t max, size_t *count_ret,
		struct npt_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int r = getaddrinfo(host, NULL, &hints, &list);
	size_t count = 0;

	if (r != 0)
		return npt_error_set(err, EHOSTUNREACH, "cannot resolve %s: %s", host,
				     gai_strerror(r));
	for (const struct addrinfo *at = list; at && count < max; at = at->ai_next) {
		size_t place = random_below(count + 1);
		char address[NI_MAXHOST];

		if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST) != 0)
			continue;
		memcpy(addresses[count], addresses[place], NI_MAXHOST);
		memcpy(addresses[place], address, NI_MAXHOST);
		count++;
	}
	freeaddrinfo(list);
	if (count == 0)
		return npt_error_set(err, EHOSTUNREACH, "%s has no address", host);
	*count_ret = count;
	return 0;
}
