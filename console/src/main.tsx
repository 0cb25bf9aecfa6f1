import { render } from "preact";
import { App } from "./app";
import { Boundary } from "./ui/boundary";
import "./style.css";

const root = document.getElementById("app");
if (root)
  render(
    <Boundary>
      <App />
    </Boundary>,
    root,
  );
