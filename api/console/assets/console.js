// The script of every page. Pages work without it; it adds the viewer's time zone, reads live
// pages again, and shows predictions as they come.
import { localTimes } from "./times.js";
import { live } from "./live.js";
import { tail } from "./tail.js";

live(document); // first, because it keeps the text as the server sent it
localTimes(document);
tail(document);
