// SPDX-License-Identifier: Apache-2.0

// A TLS peer over Node's https, whose OpenSSL is in its own binary. See peer.c for how it is used.
'use strict';
const fs = require('fs');
const https = require('https');
const readline = require('readline');

const options = {dir: '.', sni: 'peer.test', requests: '1', size: '1000', hold: '0', reconnect: '0'};
const [role, ...rest] = process.argv.slice(2);
for (const argument of rest) {
	const at = argument.indexOf('=');
	options[argument.slice(0, at)] = argument.slice(at + 1);
}
const end = {pid: process.pid, role, requests: 0, handshakes: 0, tls: null, wire: null, version: '',
	cipher: '', sni: '', alpn: '', resumed: false};

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
	return new Promise((resolve, reject) => {
		const made = https.get({host: '127.0.0.1', port: Number(options.port), path: `/${options.size}`,
			servername: options.sni, ca: read('ca.pem'), agent}, (response) => {
			let size = 0;
			response.on('data', (data) => { size += data.length; });
			response.on('end', () => {
				if (response.statusCode !== 200 || size !== Number(options.size))
					return reject(new Error(`${response.statusCode}, ${size} bytes`));
				end.requests++;
				resolve();
			});
		});
		made.on('socket', (socket) => socket.once('secureConnect', () => note(socket)));
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
		answer.end('x'.repeat(Number(asked.url.slice(1))));
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
