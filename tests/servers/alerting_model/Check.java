import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.commons.alerting.model.BucketLevelTrigger;
import org.opensearch.commons.alerting.model.Monitor;
import org.opensearch.commons.alerting.model.QueryLevelTrigger;
import org.opensearch.commons.alerting.model.SearchInput;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.search.SearchModule;

/** Reads monitors with the model classes that the Alerting plugin itself reads them with. */
public final class Check {
    private Check() {}

    public static void main(String[] files) throws Exception {
        List<NamedXContentRegistry.Entry> entries =
                new ArrayList<>(new SearchModule(Settings.EMPTY, List.of()).getNamedXContents());
        entries.add(Monitor.Companion.getXCONTENT_REGISTRY());
        entries.add(SearchInput.Companion.getXCONTENT_REGISTRY());
        entries.add(QueryLevelTrigger.Companion.getXCONTENT_REGISTRY());
        entries.add(BucketLevelTrigger.Companion.getXCONTENT_REGISTRY());
        NamedXContentRegistry registry = new NamedXContentRegistry(entries);
        for (String file : files) {
            System.out.println(verdict(registry, Path.of(file)));
        }
    }

    private static String verdict(NamedXContentRegistry registry, Path file) {
        try (XContentParser parser =
                XContentType.JSON
                        .xContent()
                        .createParser(
                                registry,
                                DeprecationHandler.THROW_UNSUPPORTED_OPERATION,
                                Files.readString(file))) {
            parser.nextToken();
            Monitor monitor = Monitor.Companion.parse(parser, Monitor.NO_ID, Monitor.NO_VERSION);
            int actions = monitor.getTriggers().stream().mapToInt(t -> t.getActions().size()).sum();
            return String.join(
                    "\t",
                    "good",
                    monitor.getName(),
                    monitor.getMonitorType().toString(),
                    String.valueOf(monitor.getTriggers().size()),
                    String.valueOf(actions));
        } catch (Exception | Error problem) {
            return "bad\t" + problem;
        }
    }
}
