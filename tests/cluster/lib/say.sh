# SPDX-License-Identifier: Apache-2.0
# Progress: one line a step, with the seconds since the start.
STARTED=${STARTED:-$(date +%s)}
say() { printf '%5ds  %s\n' $(($(date +%s) - STARTED)) "$*"; }
fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}
# Waits until a command succeeds, or a daemon has ended: until_ok SECONDS WHAT COMMAND...
until_ok() {
	local limit=$(($(date +%s) + $1)) what=$2 ended
	shift 2
	until "$@" >/dev/null 2>&1; do
		ended=$(ended_daemon)
		[ -z "$ended" ] || fail "$what cannot come up: $ended"
		[ "$(date +%s)" -lt "$limit" ] || fail "$what did not come up in time"
		sleep 0.1
	done
}
