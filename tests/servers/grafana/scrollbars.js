// The package is CommonJS: esbuild gives its whole module where Grafana's build expects the default.
import { Scrollbars } from "./node_modules/@grafana/ui/node_modules/react-custom-scrollbars-2/lib/index.js";

export { Scrollbars };
export default Scrollbars;
