// Starts Swagger UI over the two documents. A file of its own, because the page's policy forbids inline script.
window.addEventListener("load", function () {
  // In place of Swagger UI's own logo: the name, and the pages that go with the documents.
  function newsdesk(system) {
    var h = system.React.createElement;
    return {
      components: {
        Logo: function () {
          return h("span", { className: "brand" }, "newsdesk");
        },
      },
      wrapComponents: {
        Topbar: function (Original) {
          return function (properties) {
            return h(
              "header",
              null,
              h(Original, properties),
              h(
                "nav",
                { className: "pages" },
                h("a", { href: "/docs/api" }, "Conventions"),
                h("a", { href: "/docs/errors/" }, "Problem types"),
                h("a", { href: "/openapi/delivery.json" }, "delivery.json"),
                h("a", { href: "/openapi/management.json" }, "management.json")
              )
            );
          };
        },
      },
    };
  }

  window.ui = SwaggerUIBundle({
    urls: [
      { name: "Delivery: for front ends", url: "/openapi/delivery.json" },
      { name: "Management: for editors' tools", url: "/openapi/management.json" },
    ],
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [newsdesk],
    layout: "StandaloneLayout",
    deepLinking: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    displayOperationId: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    filter: true,
    // No document is ever sent to anybody's validator.
    validatorUrl: null,
  });
});
