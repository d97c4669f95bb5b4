# SPDX-License-Identifier: Apache-2.0
# Which processes belong to the cluster. Nothing is found by its name, and a number alone proves nothing:
# a run that crashed, or a machine that was restarted, leaves numbers that now belong to somebody else.

# "PID START-TIME", which names one process for ever; nothing if it is gone.
identity_of() {
	local text fields
	{ text=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
	read -ra fields <<<"${text##*) }"
	echo "$1 ${fields[19]}"
}

# Those that up started: also what has not yet entered a node's namespace.
processes_started() {
	local pid start
	[ -f "$CLUSTER_RUN/pids" ] || return 0
	while read -r pid start; do
		[ "$(identity_of "$pid")" != "$pid $start" ] || echo "$pid"
	done <"$CLUSTER_RUN/pids"
}

# Daemons, shims, holders: whoever lives in a mount namespace in which a folder of this cluster is
# mounted. Never our own namespace.
processes_of_nodes() {
	local own process namespace namespaces=" "
	own=$(readlink /proc/self/ns/mnt)
	for process in $(grep -ls -e "/${CLUSTER_RUN##*/}/node" /proc/[0-9]*/mountinfo); do
		namespace=$(readlink "${process%/mountinfo}/ns/mnt" 2>/dev/null) || continue
		[ -z "$namespace" ] || [ "$namespace" = "$own" ] || namespaces+="$namespace "
	done
	for process in /proc/[0-9]*; do
		namespace=$(readlink "$process/ns/mnt" 2>/dev/null) || continue
		[[ -n $namespace && $namespaces == *" $namespace "* ]] && echo "${process#/proc/}"
	done
	return 0
}

# Containers: whoever is in the cluster's control groups.
processes_of_pods() {
	find /sys/fs/cgroup/*/"$CLUSTER" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u || true
}
