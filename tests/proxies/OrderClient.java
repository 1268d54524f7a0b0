import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Collections;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Places orders with the client of the JDK as it is by default, which offers its requests as upgrades to HTTP/2. */
public class OrderClient {
    private static final int WORKERS = 8;

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], token = arguments[1], order = arguments[2];
        int orders = Integer.parseInt(arguments[3]);
        HttpClient client = HttpClient.newHttpClient();
        AtomicInteger next = new AtomicInteger(), placed = new AtomicInteger();
        Callable<Void> worker = () -> {
            while (next.getAndIncrement() < orders) {
                var request = HttpRequest.newBuilder(URI.create(url))
                    .header("authorization", "Bearer " + token)
                    .header("content-type", "application/json")
                    .POST(BodyPublishers.ofString(order))
                    .build();
                var answer = client.send(request, BodyHandlers.ofString());
                if (answer.statusCode() != 201) throw new IllegalStateException(answer.statusCode() + " " + answer.body());
                placed.incrementAndGet();
            }
            return null;
        };
        ExecutorService pool = Executors.newFixedThreadPool(WORKERS);
        try {
            for (var done : pool.invokeAll(Collections.nCopies(WORKERS, worker))) done.get();
        } finally {
            pool.shutdownNow();
        }
        System.out.println(placed.get());
    }
}
