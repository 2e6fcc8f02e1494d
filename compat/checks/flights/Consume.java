import java.io.BufferedOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads every partition of a topic from its beginning to its end, without a group, into `key TAB value` lines. */
public class Consume {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false", "check.crcs", "true",
            "auto.offset.reset", "none", "max.poll.records", "5000");
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
             OutputStream out = new BufferedOutputStream(Files.newOutputStream(Path.of(args[2])))) {
            List<TopicPartition> all = consumer.partitionsFor(args[1]).stream().map(p -> new TopicPartition(p.topic(), p.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            long next = 0;
            while (all.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    out.write((record.key() + "\t" + record.value() + "\n").getBytes(StandardCharsets.UTF_8));
                    next++;
                }
            }
            System.out.println("read " + next + " " + ends);
        }
    }
}
