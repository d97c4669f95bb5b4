# SPDX-License-Identifier: Apache-2.0
# Servers that tests talk with: Debian's packages without their daemons, and folders in the cache.

POLICY=/usr/sbin/policy-rc.d

# Debian starts a daemon that it installs, unless this policy says no.
forbid_daemons() {
	[ ! -e "$POLICY" ] || return 0
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 755 "$POLICY"
	trap 'rm -f "$POLICY"' EXIT
}

# Installs those of the packages that the machine lacks.
install_packages() {
	local package lacking=()
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
			lacking+=("$package")
	done
	[ ${#lacking[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || fail "run as root, or install: ${lacking[*]}"
	say "installing ${lacking[*]}"
	forbid_daemons
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null
}

# The clients of Maven, where none is there yet.
install_maven() {
	command -v mvn >/dev/null || install_packages maven default-jre-headless
}

PEERS=$CLUSTER_CACHE/peers

# Makes $PEERS/NAME-HASH by a function that gets the folder to fill, once per state of FILE; NAME links
# to it: made NAME FILE FUNCTION
made() {
	local folder
	folder=$PEERS/$1-$(sha256sum "$2" | cut -c1-16)
	if [ ! -e "$folder/complete" ]; then
		rm -rf "$folder"
		mkdir -p "$folder"
		"$3" "$folder" >"$PEERS/$1.log" 2>&1 || {
			tail -5 "$PEERS/$1.log" >&2
			fail "cannot make $folder; the whole log: $PEERS/$1.log"
		}
		touch "$folder/complete"
	fi
	ln -sfn "${folder##*/}" "$PEERS/$1"
}
