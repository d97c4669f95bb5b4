// SPDX-License-Identifier: Apache-2.0

// A TLS peer over Node's https, whose OpenSSL is in its own binary. See peer.c for how it is used.
'use strict';
const fs = require('fs');
const https = require('https');
const readline = require('readline');

const options = {dir: '.', sni: 'peer.test', requests: '1', size: '1000', hold: '0', reconnect: '0', number: '0'};
const [role, ...rest] = process.argv.slice(2);
for (const argument of rest) {
	const at = argument.indexOf('=');
	options[argument.slice(0, at)] = argument.slice(at + 1);
}
const end = {pid: process.pid, role, requests: 0, handshakes: 0, tls: null, wire: null, version: '',
	cipher: '', sni: '', alpn: '', resumed: false};

const BODIES = 23;
const letters = 'abcdefghijklmnopqrstuvw';

// Body NUMBER of a size, as peer.c has it; without a number it is of x alone.
function body_of(query, size) {
	if (query === undefined)
		return 'x'.repeat(size);
	const begin = Number(query) % BODIES;
	return letters.repeat(Math.ceil(size / BODIES) + 1).slice(begin, begin + size);
}

function read(name) {
	return fs.readFileSync(`${options.dir}/${name}`);
}

function note(socket) {
	end.handshakes++;
	end.version = socket.getProtocol();
	end.cipher = socket.getCipher().standardName;
	end.sni = socket.servername || '';
	end.alpn = socket.alpnProtocol || '';
	end.resumed = socket.isSessionReused();
}

function printTruth() {
	console.log(JSON.stringify({library: `OpenSSL ${process.versions.openssl}`, ends: [end]}));
}

const agent = new https.Agent({keepAlive: options.reconnect === '0', maxSockets: 1});

function request() {
	const number = Number(options.number);
	const query = number ? String((number + end.requests) % BODIES) : undefined;
	const path = `/${options.size}` + (number ? `?${query}` : '');
	return new Promise((resolve, reject) => {
		const made = https.get({host: '127.0.0.1', port: Number(options.port), path,
			servername: options.sni, ca: read('ca.pem'), agent}, (response) => {
			const parts = [];
			response.on('data', (data) => { parts.push(data); });
			response.on('end', () => {
				const body = Buffer.concat(parts).toString('latin1');
				if (response.statusCode !== 200 || body !== body_of(query, Number(options.size)))
					return reject(new Error(`${response.statusCode}, ${body.length} bytes, ` +
						'or another body than was asked for'));
				end.requests++;
				resolve();
			});
		});
		made.on('socket', (socket) => {
			if (socket.connecting) // else it is kept from the request before
				socket.once('secureConnect', () => note(socket));
		});
		made.on('error', reject);
	});
}

async function batch(count) {
	for (let i = 0; i < count; i++)
		await request();
}

function serve(listening) {
	const server = https.createServer({key: read('server.key'), cert: read('server.pem')}, (asked, answer) => {
		end.requests++;
		const [size, query] = asked.url.slice(1).split('?');
		answer.end(body_of(query, Number(size)));
	});
	server.on('secureConnection', note);
	server.listen(Number(options.port), '127.0.0.1', listening);
}

function each_line() {
	printTruth();
	let turn = Promise.resolve();
	const lines = readline.createInterface({input: process.stdin});
	lines.on('line', () => {
		turn = turn.then(() => (role === 'client' ? batch(Number(options.requests)) : null)).then(printTruth);
		turn.catch((error) => { console.error(error); process.exit(1); });
	});
	lines.on('close', () => turn.then(() => process.exit(0)));
}

if (role === 'server')
	serve(each_line);
else
	batch(Number(options.hold)).then(each_line);
