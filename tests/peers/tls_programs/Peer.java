// SPDX-License-Identifier: Apache-2.0

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSession;
import javax.net.ssl.TrustManagerFactory;

/**
 * A TLS peer over Java's own TLS (JSSE). See peer.c for how it is used. A client is an
 * HttpsURLConnection (TLS over a socket), or with h2=1 an HttpClient (an SSLEngine beside it, HTTP/2).
 */
public class Peer {
	static final Map<String, String> options = new HashMap<>(
			Map.of("dir", ".", "sni", "peer.test", "requests", "1", "size", "1000"));
	static final AtomicLong requests = new AtomicLong();
	static final int BODIES = 23;
	static volatile String version = "", cipher = "";
	static HttpClient client;
	static SSLContext context;

	static int number(String key) {
		return Integer.parseInt(options.getOrDefault(key, "0"));
	}

	static Certificate certificate(String name) throws Exception {
		try (FileInputStream file = new FileInputStream(options.get("dir") + "/" + name)) {
			return CertificateFactory.getInstance("X.509").generateCertificate(file);
		}
	}

	static PrivateKey key(String name) throws Exception {
		String pem = Files.readString(Path.of(options.get("dir"), name));
		byte[] bytes = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]*-----", ""));
		return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(bytes));
	}

	static SSLContext makeContext(boolean server) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		store.load(null, null);
		SSLContext made = SSLContext.getInstance("TLS");
		if (server) {
			store.setKeyEntry("key", key("server.key"), new char[0],
					new Certificate[] {certificate("server.pem")});
			KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
			keys.init(store, new char[0]);
			made.init(keys.getKeyManagers(), null, null);
			return made;
		}
		store.setCertificateEntry("ca", certificate("ca.pem"));
		TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
		trust.init(store);
		made.init(null, trust.getTrustManagers(), null);
		return made;
	}

	static void printTruth(String role) {
		System.out.printf("{\"library\": \"Java %s\", \"ends\": [{\"pid\": %d, \"role\": \"%s\", "
				+ "\"requests\": %d, \"tls\": null, \"wire\": null, \"version\": \"%s\", "
				+ "\"cipher\": \"%s\", \"sni\": null, \"alpn\": null, \"resumed\": null}]}%n",
				Runtime.version(), ProcessHandle.current().pid(), role, requests.get(), version,
				cipher);
		System.out.flush();
	}

	static void note(SSLSession session) {
		version = session.getProtocol();
		cipher = session.getCipherSuite();
	}

	/** Body NUMBER of a size, as peer.c has it; without a number it is of x alone. */
	static byte[] bodyOf(String query, int size) {
		byte[] body = new byte[size];
		Arrays.fill(body, (byte) 'x');
		for (int i = 0; query != null && i < size; i++) {
			body[i] = (byte) ('a' + (Integer.parseInt(query) + i) % BODIES);
		}
		return body;
	}

	static void serve() throws Exception {
		HttpsServer server = HttpsServer.create(
				new InetSocketAddress("127.0.0.1", number("port")), 256);
		server.setHttpsConfigurator(new HttpsConfigurator(context) {
			@Override
			public void configure(HttpsParameters parameters) {
				parameters.setSSLParameters(context.getDefaultSSLParameters());
			}
		});
		server.setExecutor(Executors.newFixedThreadPool(8));
		server.createContext("/", exchange -> {
			URI asked = exchange.getRequestURI();
			byte[] body = bodyOf(asked.getQuery(), Integer.parseInt(asked.getPath().substring(1)));
			requests.incrementAndGet();
			note(((com.sun.net.httpserver.HttpsExchange) exchange).getSSLSession());
			exchange.sendResponseHeaders(200, body.length > 0 ? body.length : -1);
			exchange.getResponseBody().write(body);
			exchange.close();
		});
		server.start();
	}

	static byte[] request(String query) throws Exception {
		String address = "https://peer.test:" + options.get("port") + "/" + options.get("size")
				+ (query == null ? "" : "?" + query);
		if (client != null) {
			HttpResponse<byte[]> response = client.send(
					HttpRequest.newBuilder(URI.create(address)).build(),
					HttpResponse.BodyHandlers.ofByteArray());
			note(response.sslSession().get());
			return response.body();
		}
		HttpsURLConnection connection = (HttpsURLConnection) new URL(address).openConnection();
		connection.setSSLSocketFactory(context.getSocketFactory());
		connection.connect();
		note(connection.getSSLSession().get());
		return connection.getInputStream().readAllBytes();
	}

	static void batch(int count) throws Exception {
		for (int i = 0; i < count; i++) {
			String query = number("number") == 0 ? null
					: Long.toString((number("number") + requests.get()) % BODIES);
			if (!Arrays.equals(request(query), bodyOf(query, number("size")))) {
				throw new IllegalStateException("another body than was asked for");
			}
			requests.incrementAndGet();
		}
	}

	public static void main(String[] arguments) throws Exception {
		String role = arguments[0];
		for (String argument : Arrays.copyOfRange(arguments, 1, arguments.length)) {
			String[] parts = argument.split("=", 2);
			options.put(parts[0], parts[1]);
		}
		context = makeContext(role.equals("server"));
		if (role.equals("server")) {
			serve();
		} else if (number("h2") == 1) {
			client = HttpClient.newBuilder().sslContext(context).build();
		}
		if (role.equals("client") && number("hold") == 1) {
			batch(1);
		}
		printTruth(role);
		BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
		while (lines.readLine() != null) {
			if (role.equals("client")) {
				batch(number("requests"));
			}
			printTruth(role);
		}
		System.exit(0);
	}
}
