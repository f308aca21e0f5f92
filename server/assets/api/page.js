"use strict";

// Swagger UI is dark when the root element has this class; the other pages follow the system.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followSystem = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followSystem);
followSystem();

SwaggerUIBundle({
  // All addresses are relative, so that the page works below the path of --url.
  url: "v1/openapi.json",
  dom_id: "#api",
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  // What changes something belongs to programs, which can say what they meant.
  supportedSubmitMethods: ["get"],
  // The default is another server.
  validatorUrl: null,
});
