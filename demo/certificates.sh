#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a CA and a certificate per service (SPIFFE names) in a folder: certificates.sh FOLDER SERVICE...
set -euo pipefail
cd "$1"
shift
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/O=cluster.local' \
	-keyout ca.key -out ca.pem 2>/dev/null
for service; do
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/' \
		-keyout "$service.key" -out "$service.csr" 2>/dev/null
	openssl x509 -req -in "$service.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
		-out "$service.pem" 2>/dev/null -extfile <(
			echo "subjectAltName=critical,URI:spiffe://cluster.local/ns/shop/sa/$service"
			echo "extendedKeyUsage=serverAuth,clientAuth"
			echo "keyUsage=critical,digitalSignature"
		)
done
