// The script of every page. Pages work without it; it adds the viewer's time zone and
// reads live pages again.
import { localTimes } from "./times.js";
import { live } from "./live.js";

live(document); // first, because it keeps the text as the server sent it
localTimes(document);
