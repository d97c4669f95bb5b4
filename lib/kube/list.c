/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After client-go's pager: pages only without a version (a limit would bypass the server's watch
 * cache), `continue` as it came and then no version, the presence of `continue` alone says that
 * there is more (a page may be empty). A page that has expired means one LIST without pages.
 */
#include "lib/kube/list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/kube/framer.h"
#include "lib/net/http_client.h"

#define PAGE_LIMIT         500
#define LIST_TIMEOUT_MS    60000
#define PAGE_BYTES_MAX     (64U * 1024 * 1024)
#define CONTINUE_BYTES_MAX (64U * 1024)

/* One LIST on its way. */
struct pager {
	struct npt_kube_list *list;
	struct npt_framer framer;
	struct npt_error err; /* of what happens inside the stream */
	char *next_page;
};

json_t *npt_kube_parse(const char *text, size_t size_bytes)
{
	json_t *object = json_loadb(text, size_bytes, JSON_ALLOW_NUL, NULL);

	(void)json_object_del(json_object_get(object, "metadata"), "managedFields");
	return object;
}

static int take_metadata(struct pager *pager, const json_t *metadata)
{
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	const char *next = json_string_value(json_object_get(metadata, "continue"));
	struct npt_kube_list *list = pager->list;

	if (!version || strlen(version) >= sizeof(list->version_ret) ||
	    (next && strlen(next) > CONTINUE_BYTES_MAX))
		return npt_error_set(&pager->err, EBADMSG, "the list's metadata is not readable");
	(void)snprintf(list->version_ret, sizeof(list->version_ret), "%s", version);
	free(pager->next_page);
	pager->next_page = next && next[0] ? npt_strdup(next) : NULL;
	return 0;
}

static int take_object(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	struct pager *pager = context;
	json_t *object = npt_kube_parse(text, size_bytes);
	int r = 0;

	if (is_metadata)
		r = take_metadata(pager, object);
	else if (!object)
		pager->list->skipped++;
	else
		r = pager->list->on_object(pager->list->context, object);
	json_decref(object);
	return r;
}

static int feed(void *context, const char *data, size_t size_bytes)
{
	struct pager *pager = context;

	return npt_framer_feed(&pager->framer, data, size_bytes, &pager->err);
}

static char *page_path(const struct npt_kube_list *list, const char *page, bool whole)
{
	const char *selector = list->selector ? list->selector : "";
	const char *and = list->selector ? "&" : "";
	npt_auto_free char *value = NULL;

	if (page) {
		value = npt_http_escape(page);
		return npt_format("%s?%s%slimit=%d&continue=%s", list->path, selector, and,
				  PAGE_LIMIT, value);
	}
	if (list->version) {
		value = npt_http_escape(list->version);
		return npt_format("%s?%s%sresourceVersion=%s", list->path, selector, and, value);
	}
	if (whole)
		return npt_format("%s%s%s", list->path, list->selector ? "?" : "", selector);
	return npt_format("%s?%s%slimit=%d", list->path, selector, and, PAGE_LIMIT);
}

static int get_page(struct npt_kube_client *client, struct pager *pager, const char *page,
		    bool whole, struct npt_error *err)
{
	npt_auto_free char *path = page_path(pager->list, page, whole);
	struct npt_kube_stream stream = {
		.path = path,
		.timeout_ms = LIST_TIMEOUT_MS,
		.max_bytes = PAGE_BYTES_MAX,
		.accept_gzip = true,
		.on_data = feed,
		.context = pager,
	};
	int r;

	free(npt_take(pager->next_page));
	pager->list->pages++;
	pager->list->version_ret[0] = '\0';
	npt_framer_init(&pager->framer, NPT_FRAMER_LIST, take_object, pager);
	r = npt_kube_stream(client, &stream, err);
	pager->list->retry_after_seconds = stream.retry_after_seconds;
	if (r < 0 && pager->err.code)
		r = npt_error_set(err, pager->err.code, "%s: %s", pager->list->path,
				  pager->err.text);
	if (r == 0 && (!npt_framer_is_list(&pager->framer) || !pager->list->version_ret[0]))
		r = npt_error_set(err, EBADMSG, "%s: the answer is no list (kind \"%s\")",
				  pager->list->path, pager->framer.kind);
	npt_framer_done(&pager->framer);
	return r;
}

int npt_kube_list(struct npt_kube_client *client, struct npt_kube_list *list, struct npt_error *err)
{
	struct pager pager = { .list = list };
	int r;

	list->pages = 0;
	list->skipped = 0;
	r = get_page(client, &pager, NULL, false, err);
	while (r == 0 && pager.next_page) {
		npt_auto_free char *page = npt_take(pager.next_page);

		r = get_page(client, &pager, page, false, err);
		if (r != NPT_KUBE_GONE)
			continue;
		if (list->on_restart)
			list->on_restart(list->context);
		r = get_page(client, &pager, NULL, true, err);
		break;
	}
	free(pager.next_page);
	return r;
}
