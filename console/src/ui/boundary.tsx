import { Component, type ComponentChildren } from "preact";
import { Problem } from "./bits";

/** Boundary shows the error of a part of the page instead of nothing. */
export class Boundary extends Component<{ children: ComponentChildren }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <Problem error={this.state.error} retry={() => this.setState({ error: undefined })} />;
  }
}
