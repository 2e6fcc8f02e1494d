import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Checks the facts on standard input (crates/protocol/examples/codec_vectors.rs) with the classes of kafka-clients.
 * A message must decode completely and encode to the same bytes.
 */
public final class Codec {
    private static final int SHOWN = 20;
    private final Map<String, Integer> checked = new TreeMap<>();
    private final Map<String, Message> messages = new HashMap<>();
    private int failures;

    public static void main(String[] arguments) throws Exception {
        Codec codec = new Codec();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            codec.check(line);
        }
        codec.missing();
        System.out.println("checked " + codec.checked + ", " + codec.failures + " wrong");
        System.exit(codec.failures == 0 && codec.checked.containsKey("message") ? 0 : 1);
    }

    private void check(String line) {
        String[] fact = line.split(" ", -1);
        String wrong;
        try {
            wrong = switch (fact[0]) {
                case "api" -> api(fact);
                case "header" -> header(fact);
                case "error" -> error(fact);
                case "uuid" -> uuid(fact);
                case "message" -> message(fact);
                default -> "a fact of unknown kind";
            };
        } catch (Exception exception) {
            wrong = exception.toString();
        }
        checked.merge(fact[0], 1, Integer::sum);
        if (wrong != null) {
            fail(line, wrong);
        }
    }

    private void fail(String line, String wrong) {
        failures++;
        if (failures <= SHOWN) {
            System.out.println(line + "\n  " + wrong);
        }
    }

    /** Every live API and error of Kafka must have been told; the removed APIs have no version. */
    private void missing() {
        long live = Arrays.stream(ApiMessageType.values())
            .filter(type -> type.lowestSupportedVersion() <= type.highestSupportedVersion(true)).count();
        same("number of APIs", checked.get("api"), (int) live);
        same("number of errors", checked.get("error"), Errors.values().length);
    }

    private void same(String what, Integer ours, int theirs) {
        if (ours == null || ours != theirs) {
            fail(what, "expected " + theirs + ", got " + ours);
        }
    }

    private static String api(String[] fact) {
        ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(fact[1]));
        String theirs = String.join(" ", "api", fact[1], type.name, "" + type.lowestSupportedVersion(),
            "" + type.highestSupportedVersion(true), "" + type.highestSupportedVersion(false),
            "" + type.listeners().contains(ApiMessageType.ListenerType.BROKER),
            "" + type.listeners().contains(ApiMessageType.ListenerType.CONTROLLER));
        return equal(String.join(" ", fact), theirs);
    }

    private static String header(String[] fact) {
        ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(fact[1]));
        short version = Short.parseShort(fact[2]);
        return equal(fact[3] + " " + fact[4], type.requestHeaderVersion(version) + " " + type.responseHeaderVersion(version));
    }

    private static String error(String[] fact) {
        Errors error = Errors.forCode(Short.parseShort(fact[1]));
        return equal(fact[2] + " " + fact[3], error.name() + " " + (error.exception() instanceof RetriableException));
    }

    private static String uuid(String[] fact) {
        ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(fact[1]));
        Uuid uuid = new Uuid(bytes.getLong(), bytes.getLong());
        return equal(fact[2], uuid.toString());
    }

    private String message(String[] fact) throws Exception {
        short version = Short.parseShort(fact[2]);
        byte[] ours = HexFormat.of().parseHex(fact[3]);
        Message message = fresh(fact[1]);
        if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
            return "no such version";
        }
        ByteBuffer input = ByteBuffer.wrap(ours);
        message.read(new ByteBufferAccessor(input), version);
        if (input.hasRemaining()) {
            return input.remaining() + " bytes were not read by " + message;
        }
        ByteBuffer output = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] theirs = new byte[output.remaining()];
        output.get(theirs);
        return Arrays.equals(ours, theirs) ? null : "they write " + HexFormat.of().formatHex(theirs) + " for " + message;
    }

    /** A new message of this name; most classes have `Data` behind the name of the schema. */
    private Message fresh(String name) throws Exception {
        Message known = messages.get(name);
        if (known == null) {
            Class<?> type;
            try {
                type = Class.forName("org.apache.kafka.common.message." + name + "Data");
            } catch (ClassNotFoundException exception) {
                type = Class.forName("org.apache.kafka.common.message." + name);
            }
            known = (Message) type.getConstructor().newInstance();
            messages.put(name, known);
        }
        return (Message) known.getClass().getConstructor().newInstance();
    }

    private static String equal(String ours, String theirs) {
        return ours.equals(theirs) ? null : "expected " + theirs;
    }
}
